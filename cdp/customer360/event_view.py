"""A hot event as the API and the console show it: 001's names and 003's, side by side."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django.db.models import QuerySet

from cdp.access.models import Source
from cdp.access.reading import as_uuid, rows_in
from cdp.core.clock import iso
from cdp.customer360.masking import Clear, shown
from cdp.events.body import open_body
from cdp.events.models import Event
from cdp.history.old_events import OldEvent
from cdp.lake.measures.bases import NOBODY
from cdp.profiles.models import Profile


class EventView(msgspec.Struct, frozen=True, rename="camel"):
    """One event. What only the lake has is without session, device, message id and what is personal.

    `customer_id` and `profile_id` are the person's id, `fragment_id` is the profile that owns it; null for one that
    is stored of nobody, because its person does not allow more.

    `message_id` is what the sender gave, else the event's id. `event_type` is 001's spelling (PAGE_VIEW) and `type` is
    003's (page_view).
    """

    id: str
    message_id: str
    customer_id: str | None
    profile_id: str | None
    fragment_id: str | None
    session_id: str | None
    device_id: str | None
    call: str
    event_type: str
    type: str
    event_name: str
    event_category: str | None
    properties: dict[str, Any]
    context: dict[str, Any]
    timestamp: str
    received_at: str
    source: str | None


_COLUMNS = (
    "digest", "call", "type", "name", "ts", "received", "body", "profile__public_id", "profile__person__public_id",
    "source__name", "session__public_id",
)  # fmt: skip

_RECENT = """
    select e.digest, e.call, e.type, e.name, e.ts, e.received, e.body, f.public_id, p.public_id, s.name, v.public_id
    from (select * from events_event where profile_id in {{in}} order by ts desc, id desc limit {limit}) e
    join profiles_profile f on f.id = e.profile_id
    join profiles_profile p on p.id = f.person_id
    left join access_source s on s.id = e.source_id
    left join events_session v on v.id = e.session_id
    order by e.ts desc, e.id desc"""


def keyed_event_views(row_ids: Iterable[int], *, clear: Clear) -> dict[int, EventView]:
    """The hot events with these row ids, by them: one query."""
    rows = Event.objects.filter(id__in=row_ids).values_list("id", *_COLUMNS)
    return {row_id: _view(tuple(row), clear=clear) for row_id, *row in rows}


def old_event_views(events: Sequence[OldEvent], *, clear: Clear) -> dict[int, EventView]:
    """Events that only the lake has, by their former row ids; those of a deleted profile are left out: two queries."""
    if not events:
        return {}
    profiles = Profile.objects.filter(pk__in={event.profile for event in events}).values_list(
        "pk", "public_id", "person__public_id"
    )
    owners: dict[int, tuple[str | None, str | None]] = {
        pk: (str(fragment), str(person)) for pk, fragment, person in profiles
    }
    owners[NOBODY] = None, None
    sources: dict[int | None, str] = dict(
        Source.objects.filter(pk__in={event.source for event in events}).values_list("pk", "name")
    )
    return {
        event.id: _old_view(event, *owners[event.profile], sources.get(event.source), clear=clear)
        for event in events
        if event.profile in owners
    }


def event_views(events: "QuerySet[Event]", *, clear: Clear) -> list[EventView]:
    """The rows of `events`, in its order: one query. Properties and context are masked unless `clear`."""
    return [_view(row, clear=clear) for row in events.values_list(*_COLUMNS)]


def recent_views(fragments: Sequence[int], *, limit: int, clear: Clear) -> list[EventView]:
    """The newest `limit` events of the profiles `fragments`, newest first: one query."""
    return [_view(row, clear=clear) for row in rows_in(_RECENT.format(limit=limit), fragments)]


def event_id(digest: bytes | memoryview) -> str:
    """The id that an event is known by outside: its digest, written as a UUID."""
    return str(uuid.UUID(bytes=bytes(digest)))


def _view(row: tuple[Any, ...], *, clear: Clear) -> EventView:
    digest, call, kind, name, ts, received, sealed, fragment, person, source, session = row
    body = open_body(sealed)
    person_id = str(as_uuid(person)) if person else None
    return EventView(
        id=event_id(digest),
        message_id=body.message_id or event_id(digest),
        customer_id=person_id,
        profile_id=person_id,
        fragment_id=str(as_uuid(fragment)) if fragment else None,
        session_id=str(as_uuid(session)) if session else None,
        device_id=_device_id(body.context),
        call=Event.Call(call).label,
        event_type=kind,
        type=kind.lower(),
        event_name=name,
        event_category=body.category or None,
        properties=shown("", body.properties, clear=clear),
        context=shown("", body.context, clear=clear),
        timestamp=iso(ts),
        received_at=iso(received),
        source=source,
    )


def _old_view(
    event: OldEvent, fragment: str | None, person: str | None, source: str | None, *, clear: Clear
) -> EventView:
    return EventView(
        id=event_id(event.digest),
        message_id="",
        customer_id=person,
        profile_id=person,
        fragment_id=fragment,
        session_id=None,
        device_id=None,
        call=Event.Call(event.call).label,
        event_type=event.type,
        type=event.type.lower(),
        event_name=event.name,
        event_category=None,
        properties=shown("", event.properties, clear=clear),
        context=shown("", event.context, clear=clear),
        timestamp=iso(event.ts),
        received_at=iso(event.received),
        source=source,
    )


def _device_id(context: dict[str, Any]) -> str | None:
    device = context.get("device")
    found = device.get("id") if isinstance(device, dict) else None
    return found if isinstance(found, str) else None
