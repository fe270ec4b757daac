"""The counts that the engagement score needs, from a person's hot events."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, F, Max, Q

from cdp.core.clock import DAY
from cdp.events.models import Event
from cdp.scoring.engagement import EMAIL_TYPES, PORTAL_TYPES, WEB_TYPES, WINDOW_DAYS, Activity


def activity_of_people(revenues: Mapping[int, float], *, now: int) -> dict[int, Activity]:
    """What people did up to `now` (µs): their revenue in units by the id of their first profile is given. One query."""
    recent = Q(ts__gt=now - WINDOW_DAYS * DAY)
    rows = (
        Event.objects.filter(profile__person_id__in=list(revenues), ts__lte=now)
        .order_by()
        .values("profile__person_id")
        .annotate(
            last_event=Max("ts"),
            last_login=Max("ts", filter=Q(type="LOGIN")),
            active_days=Count(F("ts") / DAY, filter=recent, distinct=True),
            email_events=Count("id", filter=recent & Q(type__in=EMAIL_TYPES)),
            web_events=Count("id", filter=recent & Q(type__in=WEB_TYPES)),
            portal_events=Count("id", filter=recent & Q(type__in=PORTAL_TYPES)),
        )
    )
    found = {row["profile__person_id"]: row for row in rows}
    return {person: _activity(found.get(person), revenue) for person, revenue in revenues.items()}


def _activity(row: Mapping[str, Any] | None, revenue: float) -> Activity:
    counts = {name: row[name] for name in Activity.__struct_fields__ if name in row} if row else {}
    return Activity(revenue=revenue, **counts)
