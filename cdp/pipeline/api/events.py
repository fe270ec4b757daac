"""Events by REST: track one, a batch, query, recent, one event, and why it belongs to whom (E1, P5)."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.access.source import api_source
from cdp.core.clock import now_us
from cdp.core.errors import DomainError, Invalid, NotFound, TooLarge
from cdp.customer360.api import CURSOR, EVENT_FILTERS, listed_events
from cdp.customer360.event_view import EventView, event_views
from cdp.customer360.masking import sight_of
from cdp.customer360.timeline import old_event
from cdp.events.explain import Explanation, why
from cdp.events.models import Event
from cdp.pipeline.accept import Outcome, accept
from cdp.pipeline.api.event_body import EventBody
from cdp.pipeline.models import SeenMessage
from cdp.profiles.models import Profile
from cdp.profiles.people import person_of
from cdp.rest.body import as_struct, read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import EitherPage
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

F = TypeVar("F", bound=Callable[..., Any])
EXAMPLE = {
    "customerId": "0197a1c0-7b5e-7c3a-9f1d-2f4b6a8c0e11",
    "eventType": "PURCHASE",
    "eventName": "Order Completed",
    "properties": {"revenue": 99.99, "currency": "EUR"},
}
_TRACKED = {201: "Stored durably; processed within seconds.", 200: "It was sent before."}


class Tracked(msgspec.Struct, frozen=True, rename="camel"):
    """What became of an event: `accepted`, or `duplicate` when its messageId was seen before.

    `message_id` is what was sent, else the event's id.
    """

    id: str
    status: str
    message_id: str


class BatchItem(msgspec.Struct, frozen=True, rename="camel"):
    """What became of one event of a batch: `accepted`, `duplicate`, or `rejected` with a code and a sentence."""

    index: int
    status: str
    id: str | None = None
    message_id: str | None = None
    code: str | None = None
    message: str | None = None


class BatchResult(msgspec.Struct, frozen=True):
    """One item per event, in order, and how many there are of each status."""

    data: list[BatchItem]
    accepted: int
    duplicates: int
    rejected: int


class Batch(msgspec.Struct):
    """Events to take in. A wrong one does not harm the others."""

    events: list[dict[str, Any]]


def _tracking(summary: str) -> Callable[[F], F]:
    return endpoint(summary, Tracked, body=EventBody, statuses=_TRACKED, example=EXAMPLE, tag="events")


class TrackEvent(Endpoint):
    """`events/track`: 001's and 002's address of `POST events`."""

    needs: ClassVar[dict[str, str]] = {"POST": "ingest"}

    @_tracking("Track an event (the same as POST events)")
    def post(self, request: Request) -> Response:
        """Answers when the event is stored. It is processed (who it belongs to, traits, session) a moment later."""
        body = read_body(request, EventBody)
        message = body.message()
        if body.addressed is not None:
            person_of(body.addressed)
        outcome = _accepted([message])[0]
        if outcome.status == "rejected":
            raise Invalid(outcome.message, code=outcome.code, details={"id": _id(outcome.digest)})
        tracked = Tracked(id=_id(outcome.digest), status=outcome.status, message_id=outcome.message_id)
        return Response(tracked, status=201 if outcome.status == "accepted" else 200)


class EventList(TrackEvent):
    """`events`: query and track."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "ingest"}

    @endpoint(
        "Query events",
        EitherPage[EventView],
        parameters=[
            parameter("customerId", "Events of one person, by any id of theirs; also as `profileId`."),
            *EVENT_FILTERS,
            *PAGE_PARAMETERS,
            CURSOR,
        ],
        tag="events",
    )
    def get(self, request: Request) -> Response:
        """Newest first. With `cursor` the answer has `next`, which reaches any depth; else `pagination`."""
        params = request.query_params
        return listed_events(request, params.get("customerId") or params.get("profileId") or None)

    @_tracking("Track an event")
    def post(self, request: Request) -> Response:
        """Answers when the event is stored. It is processed (who it belongs to, traits, session) a moment later."""
        return super().post(request)


class EventBatch(Endpoint):
    """`events/batch`."""

    needs: ClassVar[dict[str, str]] = {"POST": "ingest"}

    @endpoint("Track a batch of events", BatchResult, body=Batch, example={"events": [EXAMPLE]}, tag="events")
    def post(self, request: Request) -> Response:
        """Each event is judged by itself; `data` says what became of it. 200 as long as the batch could be read."""
        data = request.data
        if isinstance(data, list):
            data = {"events": data}
        elif isinstance(data, dict) and "events" not in data and "batch" in data:
            data = {"events": data["batch"]}
        events = as_struct(data, Batch).events
        if not 1 <= len(events) <= settings.MAX_BATCH_EVENTS:
            raise TooLarge(f"A batch has from 1 to {settings.MAX_BATCH_EVENTS} events.", code="batch_size")
        items = _batch(events)
        statuses = [item.status for item in items]
        return Response(
            BatchResult(
                data=items,
                accepted=statuses.count("accepted"),
                duplicates=statuses.count("duplicate"),
                rejected=statuses.count("rejected"),
            )
        )


class OneEvent(Endpoint):
    """`events/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("One event", EventView, tag="events")
    def get(self, request: Request, event_id: str) -> Response:
        """By the id that tracking it answered with, however long ago: of an old one the lake's part is shown."""
        rights = rights_of(request)
        clear = sight_of(rights)
        wanted = _uuid(event_id)
        hot = event_views(Event.objects.filter(digest=wanted.bytes), clear=clear) if wanted else []
        view = hot[0] if hot else old_event(wanted.bytes, clear=clear) if wanted else None
        if view is None:
            raise _no_event(wanted)
        record_read(rights, object_type="event", object_ids=[view.id], fields=["event"], request=request)
        return Response(view)


class WhyEvent(Endpoint):
    """`events/:id/why`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("Why an event belongs to its person", Explanation, tag="events")
    def get(self, request: Request, event_id: str) -> Response:  # noqa: ARG002 - the framework's interface
        """What resolution decided about the event and about each identifier that it carried. No personal value."""
        return Response(why(_event(event_id)))


def _accepted(messages: list[dict[str, Any]]) -> list[Outcome]:
    raws = [msgspec.json.encode(message) for message in messages]
    outcomes = accept(raws, source=api_source(), received=now_us())
    if settings.INBOX_WAKE:
        transaction.on_commit(import_string(settings.INBOX_WAKE))
    return outcomes


def _batch(events: list[dict[str, Any]]) -> list[BatchItem]:
    items: dict[int, BatchItem] = {}
    messages: dict[int, dict[str, Any]] = {}
    for index, event in enumerate(events):
        try:
            messages[index] = as_struct(event, EventBody).message()
        except DomainError as error:
            path = error.details.get("path")
            text = error.message if path is None else f"{error.message} ({path})"
            items[index] = BatchItem(index=index, status="rejected", code=error.code, message=text)
    for index in _unknown(messages):
        del messages[index]
        items[index] = BatchItem(
            index=index, status="rejected", code="not_found", message="There is no profile with this id."
        )
    for index, outcome in zip(messages, _accepted(list(messages.values())), strict=True):
        items[index] = BatchItem(
            index=index,
            status=outcome.status,
            id=_id(outcome.digest),
            message_id=outcome.message_id,
            code=outcome.code or None,
            message=outcome.message or None,
        )
    return [items[index] for index in sorted(items)]


def _unknown(messages: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """The indexes of those messages that name a profile which does not exist: one query."""
    named = {index: _uuid(message["profileId"]) for index, message in messages.items() if "profileId" in message}
    wanted = {found for found in named.values() if found is not None}
    known = set(Profile.objects.filter(public_id__in=wanted).values_list("public_id", flat=True)) if wanted else set()
    return [index for index, found in named.items() if found not in known]


def _event(event_id: str) -> Event:
    wanted = _uuid(event_id)
    event = Event.objects.filter(digest=wanted.bytes).select_related("profile").first() if wanted else None
    if event is None:
        raise _no_event(wanted)
    return event


def _no_event(wanted: uuid.UUID | None) -> NotFound:
    if wanted is None:
        return NotFound("There is no event with this id: ids are UUIDs.")
    if SeenMessage.objects.filter(digest=wanted.bytes).exists():
        message = (
            "The event was accepted, but it is not processed yet, went to quarantine, was stopped by the consent of its"
            " person or because they were erased, or was purged."
        )
        return NotFound(message, code="event_not_stored")
    return NotFound("There is no event with this id.")


def _id(digest: bytes) -> str:
    return str(uuid.UUID(bytes=digest))


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
