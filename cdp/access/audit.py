"""Writing the audit: one entry a call, ids and field names, never a value."""

import getpass
import uuid
from collections.abc import Iterable, Sequence

from django.http import HttpRequest
from rest_framework.request import Request

from cdp.access.audit_chain import Payload
from cdp.access.audit_rows import write_entry
from cdp.access.rights import Rights
from cdp.core.address import shortened
from cdp.core.clock import now_us
from cdp.core.ids import uuid7
from cdp.core.origin import Origin, current_origin


def record_read(
    rights: Rights,
    *,
    object_type: str,
    object_ids: Sequence[uuid.UUID | str],
    fields: Iterable[str],
    request: HttpRequest | Request,
    action: str = "read",
) -> None:
    """Write one entry for a page or an object that is shown in clear; nothing when all that the caller sees is masked.

    Call it before the answer leaves: it is durable on return, so nothing is shown that left no trace.
    """
    if not rights.sees_something or not object_ids:
        return
    record_change(
        rights.actor, action=action, object_type=object_type, object_ids=object_ids, fields=fields, request=request
    )


def record_change(
    actor: str,
    *,
    action: str,
    object_type: str,
    object_ids: Iterable[uuid.UUID | str | int],
    fields: Iterable[str],
    why: str = "",
    request: HttpRequest | Request | None = None,
) -> None:
    """Write one entry for what `actor` did, in the transaction that is open: call it within that of the change.

    `fields` are names of fields; what they hold is never recorded. Where it came from is told by the request that is
    being answered; `request` is asked only outside of one.
    """
    origin = current_origin()
    if request is not None and not origin.request_id:
        origin = Origin(request.headers.get("X-Request-Id", ""), request.META.get("REMOTE_ADDR", ""))
    write_entry(
        Payload(
            public_id=uuid7().hex,
            at=now_us(),
            actor=_text(actor, 150),
            action=_text(action, 60),
            object_type=_text(object_type, 60),
            object_ids=[_text(str(object_id), 200) for object_id in object_ids],
            fields=sorted(_text(field, 200) for field in fields),
            request_id=_text(origin.request_id, 64),
            address=shortened(origin.address),
            why=_text(why, 500),
        )
    )


def shell_actor() -> str:
    """Who runs a command: `shell:<login>`."""
    try:
        return f"shell:{getpass.getuser()}"
    except (KeyError, OSError):  # a container whose user has no name
        return "shell:unknown"


def _text(text: str, most: int) -> str:
    """`text` as both stores can keep it."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\0", "")[:most]
