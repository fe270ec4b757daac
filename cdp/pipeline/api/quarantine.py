"""The quarantine by REST: what could not be used and why; corrected and replayed (E7)."""

import contextlib
import uuid
from typing import Any, ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.core.clock import iso, iso_or_none
from cdp.core.crypto import KeyMissing
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.core.json import nested_deeper
from cdp.customer360.event_view import event_id
from cdp.customer360.masking import Clear, shown, sight_of
from cdp.events.models import QuarantinedMessage
from cdp.identities.suppression import Suppressed
from cdp.pipeline.quarantine import quarantined_text, replay
from cdp.pipeline.spool import collect_spool
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.json import MAX_NESTING
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

STATUSES = QuarantinedMessage.Status.values


class QuarantinedView(msgspec.Struct, frozen=True, rename="camel"):
    """A message that could not be used. `message` is what came: the JSON, or its text when it is none."""

    id: str
    source: str | None
    received_at: str
    stage: str
    status: str
    code: str
    reason: str
    message: Any
    resolved_at: str | None


class ReplayBody(msgspec.Struct):
    """`message` replaces what came; without it the message is tried again as it is."""

    message: dict[str, Any] | None = None


class Replayed(msgspec.Struct, frozen=True):
    """`replayed`: it waits to be processed under its old id. `duplicate`: its id was accepted before."""

    id: str
    status: str


class Quarantine(Endpoint):
    """`quarantine`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint(
        "List quarantined messages",
        Page[QuarantinedView],
        parameters=[
            parameter("status", "open (default), replayed, discarded or all.", enum=[*STATUSES, "all"]),
            parameter("code", "Only this reason."),
            *PAGE_PARAMETERS,
        ],
        tag="quarantine",
    )
    def get(self, request: Request) -> Response:
        """Newest first. Personal values in the messages are masked for those who may not see them."""
        rights = rights_of(request)
        asked = window(request)
        status = request.query_params.get("status", "open")
        if status not in {*STATUSES, "all"}:
            message = f"`status` must be one of {', '.join(STATUSES)}, all."
            raise Invalid(message, details={"path": "status"})
        collect_spool()
        rows = QuarantinedMessage.objects.select_related("source").order_by("-id")
        if status != "all":
            rows = rows.filter(status=status)
        if code := request.query_params.get("code"):
            rows = rows.filter(code=code)
        page = list(rows[asked.offset : asked.offset + asked.limit])
        views = [_view(row, clear=sight_of(rights)) for row in page]
        record_read(
            rights, object_type="quarantine", object_ids=[v.id for v in views], fields=["message"], request=request
        )
        return Response(asked.page_of(views, total=rows.count()))


class ReplayQuarantined(Endpoint):
    """`quarantine/:id/replay`."""

    needs: ClassVar[dict[str, str]] = {"POST": "replay"}

    @endpoint(
        "Replay a quarantined message",
        Replayed,
        body=ReplayBody,
        example={"message": {"type": "track", "userId": "u1", "event": "Order Completed"}},
        tag="quarantine",
    )
    def post(self, request: Request, message_id: str) -> Response:
        """As it came, or corrected. It keeps its id, source and time. 400 when it is still unusable: it stays open."""
        body = read_body(request, ReplayBody)
        row = _row(message_id)
        corrected = None if body.message is None else msgspec.json.encode(body.message)
        result = replay([row.pk], corrected=corrected, actor=rights_of(request).actor)
        if result.refused:
            refused = result.refused[0]
            if refused.code == Suppressed.code:
                raise Suppressed
            raise Invalid(refused.message, code=refused.code, details={"id": event_id(row.digest)})
        if result.skipped:
            raise Conflict(f"This message is {row.status} already.", code="not_open")
        return Response(Replayed(event_id(row.digest), "duplicate" if result.duplicates else "replayed"))


def _row(message_id: str) -> QuarantinedMessage:
    try:
        digest = uuid.UUID(message_id).bytes
    except ValueError:
        raise NotFound("There is no quarantined message with this id: ids are UUIDs.") from None
    row = QuarantinedMessage.objects.filter(digest=digest).first()
    if row is None:
        raise NotFound("There is no quarantined message with this id.")
    return row


def _view(row: QuarantinedMessage, *, clear: Clear) -> QuarantinedView:
    return QuarantinedView(
        id=event_id(row.digest),
        source=row.source.name if row.source else None,
        received_at=iso(row.received),
        stage=row.stage,
        status=row.status,
        code=row.code,
        reason=row.reason,
        message=_message(row, clear=clear),
        resolved_at=iso_or_none(row.resolved_at),
    )


def _message(row: QuarantinedMessage, *, clear: Clear) -> Any:
    """The JSON of the message, masked unless `clear`; its text when it is none, which shows only in clear.

    None when the key that it was encrypted with is gone.
    """
    try:
        text = quarantined_text(row)
    except KeyMissing:
        return None
    if not nested_deeper(text, MAX_NESTING):
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            return shown("", msgspec.json.decode(text), clear=clear)
    return text.decode("utf-8", "replace") if clear else "***"
