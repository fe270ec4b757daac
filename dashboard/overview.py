"""The first page: is data coming in, does anything wait, does anything need a hand."""

from typing import Any

import msgspec
from django.core.cache import cache
from django.db.models import Count, F, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.timezone import localtime

from cdp.access.admin_pages import moment
from cdp.access.models import Source
from cdp.core.clock import DAY, HOUR, MINUTE, SECOND, from_us, now_us, to_us
from cdp.events.models import Event, QuarantinedMessage
from cdp.pipeline.models import Counter, InboxMessage
from cdp.pipeline.outcomes import STOPPED
from cdp.pipeline.spool import spooled
from cdp.profiles.models import Profile
from integrations.notice import notice

HOURS = 24
COUNT_TO = 100_000
_KEEP_SECONDS = 30
_WIDTH, _HEIGHT, _GAP = 720, 160, 4


class Card(msgspec.Struct, frozen=True):
    """A number with what it means and where it leads."""

    label: str
    value: str
    hint: str
    link: str
    alarm: bool = False


class Hour(msgspec.Struct, frozen=True):
    """A bar of the chart: its place in the drawing, and what it says."""

    label: str
    count: int
    x: float
    y: float
    width: float
    height: float
    named: bool


class Overview(msgspec.Struct, frozen=True):
    """The numbers behind the page. Times are µs; counts of hot tables stop at `COUNT_TO`."""

    profiles: int
    people: int
    events_today: int
    refused_today: int
    stopped_today: int
    waiting: int
    oldest_waiting: int | None
    quarantined: int
    sources: int
    last_event: int | None
    hours: dict[int, int]


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the index page of the admin."""
    now = now_us()
    found = overview(now)
    return {
        **context,
        "title": "Overview",
        "cards": cards(found, now=now),
        "hours": _bars(found.hours),
        "chart": {"width": _WIDTH, "height": _HEIGHT + 24, "base": _HEIGHT},
        "busiest": max(found.hours.values(), default=0),
        "total": sum(found.hours.values()),
        "empty": found.last_event is None and not found.waiting,
        "has_source": bool(found.sources),
        "address": request.build_absolute_uri("/v1/track"),
        "may_add_source": request.user.has_perm("access.add_source"),
        "notice": notice(now) if request.user.has_perm("integrations.change_integration") else None,
    }


def overview(now: int) -> Overview:
    """The numbers at `now`: eight queries, and the three that grow with the data at most twice a minute."""
    counted = Counter.objects.filter(day=now // DAY).order_by().values("outcome").annotate(n=Sum("count"))
    today_counts = list(counted.values_list("outcome", "n"))
    waiting = InboxMessage.objects.order_by("id")
    oldest = waiting.values_list("received", flat=True).first()
    at_door, since = spooled()
    hot = cache.get("overview")
    if hot is None:
        hot = _profiles_and_people(), _per_hour(now), _today(now)
        cache.set("overview", hot, _KEEP_SECONDS)
    (profiles, people), hours, today = hot
    return Overview(
        profiles=profiles,
        people=people,
        events_today=today,
        refused_today=sum(n for outcome, n in today_counts if outcome.startswith("rejected")),
        stopped_today=sum(n for outcome, n in today_counts if outcome.startswith(STOPPED)),
        waiting=waiting[:COUNT_TO].count() + at_door,
        oldest_waiting=since if oldest is None else oldest,
        quarantined=QuarantinedMessage.objects.filter(status=QuarantinedMessage.Status.OPEN)[:COUNT_TO].count(),
        sources=Source.objects.filter(enabled=True).count(),
        last_event=Event.objects.order_by("-ts").values_list("ts", flat=True).first(),
        hours=hours,
    )


def _profiles_and_people() -> tuple[int, int]:
    row = Profile.objects.aggregate(profiles=Count("id"), people=Count("id", filter=Q(person_id=F("id"))))
    return row["profiles"], row["people"]


def _today(now: int) -> int:
    """Hot events whose own time is today by the clock of the installation, whenever they were processed."""
    midnight = localtime(from_us(now)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Event.objects.filter(ts__gte=to_us(midnight), ts__lte=now).order_by()[:COUNT_TO].count()


def _per_hour(now: int) -> dict[int, int]:
    """Events by hour (hours since 1970) of the last `HOURS` hours, the running one included."""
    first = (now // HOUR - HOURS + 1) * HOUR
    rows = Event.objects.filter(ts__gte=first, ts__lte=now).order_by().annotate(hour=F("ts") / HOUR)
    found = dict(rows.values("hour").annotate(n=Count("id")).values_list("hour", "n"))
    return {hour: found.get(hour, 0) for hour in range(first // HOUR, now // HOUR + 1)}


def cards(found: Overview, *, now: int) -> list[Card]:
    """The numbers of the page, each with what it means at `now` (µs)."""
    age = None if found.oldest_waiting is None else now - found.oldest_waiting
    return [
        Card(
            "People",
            f"{found.people:,}",
            f"{found.profiles:,} profiles" if found.profiles != found.people else "Each has one profile",
            reverse("admin:profiles_profile_changelist"),
        ),
        Card(
            "Events today",
            _bounded(found.events_today),
            "None yet" if found.last_event is None else f"Newest {moment(found.last_event)}",
            reverse("admin:events_event_changelist"),
        ),
        Card(
            "Waiting",
            _bounded(found.waiting),
            "Everything is processed" if age is None else f"The oldest for {_age(age)}",
            reverse("admin:pipeline_inboxmessage_changelist"),
            alarm=age is not None and age > MINUTE,
        ),
        Card(
            "Quarantine",
            _bounded(found.quarantined),
            "Nothing to correct" if not found.quarantined else "To correct or discard",
            reverse("admin:events_quarantinedmessage_changelist") + "?status__exact=open",
            alarm=bool(found.quarantined),
        ),
        Card(
            "Stopped by consent",
            f"{found.stopped_today:,}",
            "Messages today; also of people who were erased",
            reverse("admin:pipeline_counter_changelist") + "?kind=consent",
        ),
        Card("Sources", f"{found.sources:,}", "That may send", reverse("admin:access_source_changelist")),
    ]


def _bounded(count: int) -> str:
    return f"{COUNT_TO:,} or more" if count >= COUNT_TO else f"{count:,}"


def _age(us: int) -> str:
    for unit, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if us >= 2 * unit:
            return f"{us // unit} {name}"
    return f"{max(us, 0) // SECOND} seconds"


def _bars(hours: dict[int, int]) -> list[Hour]:
    top = max(hours.values(), default=0) or 1
    step = _WIDTH / HOURS
    bars = []
    for place, (hour, count) in enumerate(hours.items()):
        height = count / top * _HEIGHT
        label = localtime(from_us(hour * HOUR)).strftime("%H:%M")
        bars.append(
            Hour(label, count, place * step + _GAP / 2, _HEIGHT - height, step - _GAP, height, named=place % 4 == 0)
        )
    return bars
