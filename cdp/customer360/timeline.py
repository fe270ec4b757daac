"""Events in pages: the timeline of one person over all their profiles (P8), and the listing of everybody's (E1).

Pages by cursor are keyset pages over (time, id), newest first: what arrives between two pages neither repeats a row nor
leaves one out, and the thousandth page costs what the first does; where the operational store ends they read on in
the lake. Pages by number are there for clients that want them.
"""

import base64
import binascii
import heapq
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import msgspec
from django.db.models import Q, QuerySet

from cdp.access.models import Source
from cdp.core.clock import DAY, parse_time
from cdp.core.errors import Invalid
from cdp.customer360.event_view import EventView, event_views, keyed_event_views, old_event_views, recent_views
from cdp.customer360.masking import Clear
from cdp.events.models import Event
from cdp.events.vocabulary import TYPES, known_type
from cdp.history.old_events import OldEvent, Wanted, old_events, old_keys, purged_before
from cdp.profiles.models import Profile
from cdp.profiles.people import fragment_ids, person_of

MAX_LIMIT = 500
MAX_OFFSET = 100_000
_COUNTED = MAX_OFFSET + MAX_LIMIT
_AT_ONCE, _LEAST, _OLD_AT_ONCE = 2_000, 100, 10_000


class EventFilter(msgspec.Struct, frozen=True):
    """Which events: by type (001's spelling), name, source name and time in µs (`start` ≤ time ≤ `end`); None: any."""

    type: str | None = None
    name: str | None = None
    source: str | None = None
    start: int | None = None
    end: int | None = None

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Self:
        """From query parameters: type or eventType, name or eventName, source, startDate, endDate; blank means any.

        A date alone as `endDate` includes that day. Raises Invalid naming the parameter.
        """
        kind = params.get("type") or params.get("eventType") or None
        if kind is not None and known_type(kind) is None:
            raise Invalid(f"{kind[:40]!r} is no event type. Use one of: {', '.join(TYPES)}.", code="invalid_type")
        return cls(
            type=known_type(kind) if kind else None,
            name=params.get("name") or params.get("eventName") or None,
            source=params.get("source") or None,
            start=_moment(params, "startDate", whole_day=False),
            end=_moment(params, "endDate", whole_day=True),
        )

    def apply(self, events: "QuerySet[Event]") -> "QuerySet[Event]":
        """`events` that pass."""
        wanted = {
            "type": self.type,
            "name": self.name,
            "source__name": self.source,
            "ts__gte": self.start,
            "ts__lte": self.end,
        }
        return events.filter(**{field: value for field, value in wanted.items() if value is not None})


class EventPage(msgspec.Struct, frozen=True):
    """Events, newest first, and the cursor of the page after this one; None: this was the last."""

    data: list[EventView]
    next: str | None


class NumberedEventPage(msgspec.Struct, frozen=True):
    """The events of one numbered page and how many there are in all."""

    data: list[EventView]
    total: int


def timeline(
    person: Profile, *, cursor: str = "", limit: int = 50, wanted: EventFilter | None = None, clear: Clear
) -> EventPage:
    """One page of what a person did, over all their profiles, however long ago. Raises Invalid for a bad cursor."""
    return _page_after(
        fragment_ids(person.pk), cursor=cursor, limit=_checked(limit), wanted=wanted or EventFilter(), clear=clear
    )


def each_event(profiles: list[int], *, until: int, clear: Clear) -> Iterator[EventView]:
    """Every event of these profiles up to the time `until` (µs), newest first to the millisecond, in constant memory.

    What the operational store has is read for each profile in its own pages, which its index gives in order, and merged
    by time: together they hold about 2,000 events. The lake is asked for all profiles at once, for large pages, because
    each question to it costs the same.
    """
    horizon = purged_before()
    size = max(_AT_ONCE // max(len(profiles), 1), _LEAST)
    recent = EventFilter(start=horizon, end=until)
    streams = [_pages([profile], size, wanted=recent, clear=clear) for profile in profiles]
    yield from heapq.merge(*streams, key=lambda event: event.timestamp, reverse=True)
    if horizon is not None and profiles:
        older = EventFilter(end=min(until, horizon - 1))
        yield from _pages(profiles, _OLD_AT_ONCE, wanted=older, clear=clear)


def _pages(profiles: list[int], size: int, *, wanted: EventFilter, clear: Clear) -> Iterator[EventView]:
    cursor: str | None = ""
    while cursor is not None:
        page = _page_after(profiles, cursor=cursor, limit=size, wanted=wanted, clear=clear)
        yield from page.data
        cursor = page.next


def events_after(
    wanted: EventFilter, *, customer_id: uuid.UUID | str | None = None, cursor: str = "", limit: int = 50, clear: Clear
) -> EventPage:
    """One page by cursor of everybody's events, or of one person by any id of theirs. Raises Invalid and NotFound."""
    return _page_after(_scope(customer_id), cursor=cursor, limit=_checked(limit), wanted=wanted, clear=clear)


def events_page(
    wanted: EventFilter, *, customer_id: uuid.UUID | str | None = None, page: int = 1, limit: int = 50, clear: Clear
) -> NumberedEventPage:
    """Page number `page` (from 1) of everybody's events, or of one person. Raises Invalid and NotFound.

    Numbers reach `MAX_OFFSET` events deep, in the lake too; beyond that a cursor must be used, because counting past
    rows is slow. For the same reason the total stops where the pages do.
    """
    limit = _checked(limit)
    offset = (page - 1) * limit
    if page < 1 or offset > MAX_OFFSET:
        raise Invalid(f"Pages reach {MAX_OFFSET} events deep: use `cursor` to go further.", code="page_out_of_range")
    profiles = _scope(customer_id)
    events = wanted.apply(_events_of(profiles))
    horizon = purged_before()
    if horizon is None:
        data = event_views(events.order_by("-ts", "-id")[offset : offset + limit], clear=clear)
        return NumberedEventPage(data=data, total=events.order_by()[:_COUNTED].count())
    hot = list(events.order_by("-ts", "-id").values_list("ts", "id")[:_COUNTED])
    late = [row_id for ts, row_id in hot if ts < horizon]
    # What is purged after this is found in the lake by its id.
    old = old_keys(_asked(profiles, None, wanted), besides=late, limit=offset + limit)
    keys = sorted([*hot, *old.keys], reverse=True)[offset : offset + limit]
    return NumberedEventPage(data=_views(keys, clear=clear), total=min(len(hot) + old.total, _COUNTED))


def recent_events(fragments: Sequence[int], *, limit: int, known: int, clear: Clear) -> list[EventView]:
    """The newest `limit` events of the profiles `fragments`, who did `known` things in all, newest first.

    One query while the operational store has them; else the lake is read too.
    """
    found = recent_views(fragments, limit=limit, clear=clear)
    if len(found) >= min(limit, known):
        return found
    return _page_after(list(fragments), cursor="", limit=limit, wanted=EventFilter(), clear=clear).data


def old_event(digest: bytes, *, clear: Clear) -> EventView | None:
    """An event that only the lake has, by the bytes of its id; None when it has none or the profile was deleted."""
    found = old_event_views(old_events(Wanted(digest=digest), limit=1), clear=clear)
    return next(iter(found.values()), None)


def _views(keys: Sequence[tuple[int, int]], *, clear: Clear) -> list[EventView]:
    """Events by (time, row id) in that order, from where each is; those of deleted profiles are left out."""
    views = keyed_event_views([row_id for _, row_id in keys], clear=clear)
    missing = [row_id for _, row_id in keys if row_id not in views]
    if missing:
        views |= old_event_views(old_events(Wanted(ids=missing), limit=len(missing)), clear=clear)
    return [views[row_id] for _, row_id in keys if row_id in views]


def _scope(customer_id: uuid.UUID | str | None) -> list[int] | None:
    """The profiles of one person, or None: everybody's."""
    return None if customer_id is None else fragment_ids(person_of(customer_id).pk)


def _events_of(profiles: list[int] | None) -> "QuerySet[Event]":
    return Event.objects.all() if profiles is None else Event.objects.filter(profile_id__in=profiles)


def _page_after(profiles: list[int] | None, *, cursor: str, limit: int, wanted: EventFilter, clear: Clear) -> EventPage:
    before = _opened(cursor) if cursor else None
    while True:
        hot = _hot_keys(profiles, before, wanted, limit + 1)
        old = _old_events(profiles, before, wanted, limit + 1, hot)
        keys = sorted({*hot, *((event.ts, event.id) for event in old.values())}, reverse=True)
        page = keys[:limit]
        views = keyed_event_views([row_id for _, row_id in page], clear=clear)
        views |= old_event_views(
            [old[row_id] for _, row_id in page if row_id in old and row_id not in views], clear=clear
        )
        if all(row_id in views or row_id in old for _, row_id in page):
            break
        # Purged or deleted between two of the queries: now the lake has it, or nobody.
    return EventPage(
        data=[views[row_id] for _, row_id in page if row_id in views],
        next=_cursor(*page[-1]) if len(keys) > limit else None,
    )


def _hot_keys(
    profiles: list[int] | None, before: tuple[int, int] | None, wanted: EventFilter, limit: int
) -> list[tuple[int, int]]:
    """(time, row id) of the newest events of the operational store, newest first."""
    events = wanted.apply(_events_of(profiles))
    if before is not None:
        ts, row_id = before
        # Said twice, so that the index on time is entered at the right place.
        events = events.filter(Q(ts__lte=ts) & (Q(ts__lt=ts) | Q(id__lt=row_id)))
    return list(events.order_by("-ts", "-id").values_list("ts", "id")[:limit])


def _old_events(
    profiles: list[int] | None,
    before: tuple[int, int] | None,
    wanted: EventFilter,
    limit: int,
    hot: list[tuple[int, int]],
) -> dict[int, OldEvent]:
    """By row id what the lake has for this page; nothing where the operational store has all of it.

    Asked after the operational store: what is purged between the two is found here.
    """
    horizon = purged_before()
    if horizon is None or (len(hot) == limit and hot[-1][0] >= horizon):
        return {}
    return {event.id: event for event in old_events(_asked(profiles, before, wanted), limit=limit)}


def _asked(profiles: list[int] | None, before: tuple[int, int] | None, wanted: EventFilter) -> Wanted:
    """The same filter for the lake."""
    sources = (
        None if wanted.source is None else list(Source.objects.filter(name=wanted.source).values_list("pk", flat=True))
    )
    return Wanted(profiles, before, wanted.type, wanted.name, sources, wanted.start, wanted.end)


def _checked(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid(f"`limit` must be from 1 to {MAX_LIMIT}.", code="invalid_limit")
    return limit


def _cursor(ts: int, row_id: int) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((ts, row_id))).decode().rstrip("=")


def _opened(cursor: str) -> tuple[int, int]:
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(packed, type=tuple[int, int])
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise Invalid("This cursor is none of ours: begin without one.", code="invalid_cursor") from None


def _moment(params: Mapping[str, str], name: str, *, whole_day: bool) -> int | None:
    text = params.get(name, "").strip()
    if not text:
        return None
    moment = parse_time(float(text) if text.replace(".", "", 1).isdigit() and len(text) > 8 else text)
    if moment is None:
        raise Invalid(f"`{name}` must be a date or a time in ISO 8601, such as 2026-01-31.", code="invalid_date")
    return moment + DAY - 1 if whole_day and len(text) == 10 and text[4] == "-" else moment
