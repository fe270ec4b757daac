"""Sessions by REST (002, 001): start, stop, list (E8)."""

import uuid
from typing import Any, ClassVar

import msgspec
from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.source import api_source
from cdp.core.clock import iso, now_us
from cdp.core.errors import Invalid, NotFound
from cdp.core.ids import uuid7
from cdp.events.models import Session
from cdp.events.sessions import entry_of
from cdp.events.sessions_view import sessions_of
from cdp.identities.lookup import find_person
from cdp.pipeline.lease import exclusive
from cdp.pipeline.people import create_profile
from cdp.profiles.people import fragment_ids, fragment_of, person_of
from cdp.rest.body import moment, read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

_MOST = 500


class SessionStart(msgspec.Struct, rename="camel"):
    """Whose session it is: profileId or customerId, userId, anonymousId. `sessionId` is the client's own id."""

    profile_id: str | None = None
    customer_id: str | None = None
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    session_id: str | None = None
    timestamp: str | int | float | None = None
    context: dict[str, Any] | None = None


class SessionJson(msgspec.Struct, frozen=True, rename="camel"):
    """A session: `duration` in seconds from its first to its last event, `entry` how it began."""

    id: str
    customer_id: str
    started_at: str
    last_event_at: str
    duration: float
    event_count: int
    stopped: bool
    entry: dict[str, str]


class StartSession(Endpoint):
    """`sessions/start`."""

    needs: ClassVar[dict[str, str]] = {"POST": "ingest"}

    @endpoint(
        "Start a session",
        SessionJson,
        body=SessionStart,
        statuses={201: "Started.", 200: "A session with this sessionId is open."},
        example={"userId": "user123"},
        tag="sessions",
    )
    def post(self, request: Request) -> Response:
        """Send its `id` (or your own `sessionId`) as the sessionId of the events that belong to it."""
        body = read_body(request, SessionStart)
        started = moment(body.timestamp, "timestamp") or now_us()
        with exclusive():
            owner = _owner(body)
            public_id = uuid7()
            key = settings.KEYRING.digest("session", body.session_id or str(public_id))
            row = Session.objects.filter(profile_id=owner, key=key).first()
            created = row is None
            if row is None:
                entry = entry_of(body.context or {})
                row = Session.objects.create(
                    public_id=public_id, profile_id=owner, key=key, started=started, last=started, entry=entry
                )
        return Response(_json(row), status=201 if created else 200)


class StopSession(Endpoint):
    """`sessions/:id/stop`."""

    needs: ClassVar[dict[str, str]] = {"POST": "ingest"}

    @endpoint("Stop a session", SessionJson, tag="sessions")
    def post(self, request: Request, session_id: str) -> Response:  # noqa: ARG002 - the framework's interface
        """By its `id`, or by the sessionId that the client gave it. A stopped one stays stopped."""
        with exclusive():
            row = _session(session_id)
            row.stopped = True
            row.save(update_fields=["stopped"])
        return Response(_json(row))


class Sessions(Endpoint):
    """`sessions`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint(
        "Sessions of a profile",
        Page[SessionJson],
        parameters=[
            parameter("profileId", "Any id of the person; also as `customerId`.", required=True),
            *PAGE_PARAMETERS,
        ],
        tag="sessions",
    )
    def get(self, request: Request) -> Response:
        """Newest first, those of all the person's profiles; what overlaps is one session."""
        wanted = request.query_params.get("profileId") or request.query_params.get("customerId")
        if not wanted:
            raise Invalid("Give the query parameter `profileId`.", details={"path": "profileId"})
        person = person_of(wanted)
        found = sessions_of(fragment_ids(person.pk), limit=_MOST)
        views = [
            SessionJson(
                id=str(view.id),
                customer_id=str(person.public_id),
                started_at=iso(view.started),
                last_event_at=iso(view.last),
                duration=view.duration / 1_000_000,
                event_count=view.event_count,
                stopped=view.stopped,
                entry=view.entry,
            )
            for view in found
        ]
        return Response(window(request).of(views))


def _owner(body: SessionStart) -> int:
    addressed = body.profile_id or body.customer_id
    if addressed is not None:
        return fragment_of(addressed).pk
    named = {"userId": body.user_id, "anonymousId": body.anonymous_id}
    message = {name: value for name, value in named.items() if value is not None}
    if not message:
        raise Invalid("Say whose session it is: profileId, userId or anonymousId.", code="missing_id")
    if len(message) == 1:
        [(name, value)] = message.items()
        known = find_person({"userId": "user_id", "anonymousId": "anonymous_id"}[name], str(value))
        if known is not None:
            return known.pk
    return create_profile(message, source=api_source()).person.pk


def _session(text: str) -> Session:
    rows = Session.objects.select_related("profile__person")
    try:
        found = rows.filter(public_id=uuid.UUID(text)).first()
    except ValueError:
        found = None
    if found is None:
        found = rows.filter(key__in=settings.KEYRING.digests("session", text)).order_by("-last").first()
    if found is None:
        raise NotFound("There is no session with this id, or its events are not processed yet.")
    return found


def _json(row: Session) -> SessionJson:
    return SessionJson(
        id=str(row.public_id),
        customer_id=str(row.profile.person.public_id),
        started_at=iso(row.started),
        last_event_at=iso(row.last),
        duration=(row.last - row.started) / 1_000_000,
        event_count=row.event_count,
        stopped=row.stopped,
        entry=msgspec.json.decode(row.entry),
    )
