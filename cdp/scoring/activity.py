"""The counts that the engagement score needs, from a person's hot events."""

from collections.abc import Sequence

from django.db.models import Count, F, Max, Q

from cdp.core.clock import DAY
from cdp.events.models import Event
from cdp.scoring.engagement import EMAIL_TYPES, PORTAL_TYPES, WEB_TYPES, WINDOW_DAYS, Activity


def activity_of(fragments: Sequence[int], *, revenue: float, now: int) -> Activity:
    """What the profiles `fragments` did up to `now` (µs); `revenue` is the person's, in units: one query."""
    recent = Q(ts__gt=now - WINDOW_DAYS * DAY)
    row = Event.objects.filter(profile_id__in=fragments, ts__lte=now).aggregate(
        last_event=Max("ts"),
        last_login=Max("ts", filter=Q(type="LOGIN")),
        active_days=Count(F("ts") / DAY, filter=recent, distinct=True),
        email_events=Count("id", filter=recent & Q(type__in=EMAIL_TYPES)),
        web_events=Count("id", filter=recent & Q(type__in=WEB_TYPES)),
        portal_events=Count("id", filter=recent & Q(type__in=PORTAL_TYPES)),
    )
    return Activity(revenue=revenue, **row)
