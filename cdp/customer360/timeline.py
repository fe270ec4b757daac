"""Events in pages: the timeline of one person over all their profiles (P8), and the listing of everybody's (E1).

Pages by cursor are keyset pages over (time, id), newest first: what arrives between two pages neither repeats a row nor
leaves one out, and the thousandth page costs what the first does. Pages by number are there for clients that want them.
"""

import base64
import binascii
import uuid
from collections.abc import Mapping
from typing import Self

import msgspec
from django.db.models import Q, QuerySet

from cdp.core.clock import DAY, parse_time
from cdp.core.errors import Invalid
from cdp.customer360.event_view import EventView, event_views
from cdp.events.models import Event
from cdp.events.vocabulary import TYPES, known_type
from cdp.profiles.models import Profile
from cdp.profiles.people import fragment_ids, person_of

MAX_LIMIT = 500
MAX_OFFSET = 100_000


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
    person: Profile, *, cursor: str = "", limit: int = 50, wanted: EventFilter | None = None, clear: bool
) -> EventPage:
    """One page of what a person did, over all their profiles, however long ago. Raises Invalid for a bad cursor."""
    return _page_after(_events_of(person), cursor=cursor, limit=limit, wanted=wanted or EventFilter(), clear=clear)


def events_after(
    wanted: EventFilter, *, customer_id: uuid.UUID | str | None = None, cursor: str = "", limit: int = 50, clear: bool
) -> EventPage:
    """One page by cursor of everybody's events, or of one person by any id of theirs. Raises Invalid and NotFound."""
    return _page_after(_scope(customer_id), cursor=cursor, limit=limit, wanted=wanted, clear=clear)


def events_page(
    wanted: EventFilter, *, customer_id: uuid.UUID | str | None = None, page: int = 1, limit: int = 50, clear: bool
) -> NumberedEventPage:
    """Page number `page` (from 1) of everybody's events, or of one person. Raises Invalid and NotFound.

    Numbers reach `MAX_OFFSET` events deep; beyond that a cursor must be used, because counting past rows is slow.
    """
    limit = _checked(limit)
    offset = (page - 1) * limit
    if page < 1 or offset > MAX_OFFSET:
        raise Invalid(f"Pages reach {MAX_OFFSET} events deep: use `cursor` to go further.", code="page_out_of_range")
    events = wanted.apply(_scope(customer_id)).order_by("-ts", "-id")
    return NumberedEventPage(data=event_views(events[offset : offset + limit], clear=clear), total=events.count())


def _scope(customer_id: uuid.UUID | str | None) -> "QuerySet[Event]":
    return Event.objects.all() if customer_id is None else _events_of(person_of(customer_id))


def _events_of(person: Profile) -> "QuerySet[Event]":
    return Event.objects.filter(profile_id__in=fragment_ids(person.pk))


def _page_after(events: "QuerySet[Event]", *, cursor: str, limit: int, wanted: EventFilter, clear: bool) -> EventPage:
    limit = _checked(limit)
    events = wanted.apply(events)
    if cursor:
        ts, row_id = _opened(cursor)
        # Said twice, so that the index on time is entered at the right place.
        events = events.filter(Q(ts__lte=ts) & (Q(ts__lt=ts) | Q(id__lt=row_id)))
    keys = list(events.order_by("-ts", "-id").values_list("ts", "id")[: limit + 1])
    page = Event.objects.filter(id__in=[row_id for _, row_id in keys[:limit]]).order_by("-ts", "-id")
    return EventPage(
        data=event_views(page, clear=clear),
        next=_cursor(*keys[limit - 1]) if len(keys) > limit else None,
    )


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
