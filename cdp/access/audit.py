"""The record of who read personal data: one entry a call, ids and field names, never a value."""

import uuid
from collections.abc import Iterable, Sequence

from django.http import HttpRequest
from rest_framework.request import Request

from cdp.access.models import AuditEntry
from cdp.access.rights import Rights
from cdp.core.address import shortened
from cdp.core.clock import now_us


def record_read(
    rights: Rights,
    *,
    object_type: str,
    object_ids: Sequence[uuid.UUID | str],
    fields: Iterable[str],
    request: HttpRequest | Request,
    action: str = "read",
) -> None:
    """Write one entry for a page or an object that was shown in clear; nothing when all the caller saw was masked."""
    if not rights.sees_personal or not object_ids:
        return
    AuditEntry.objects.create(
        at=now_us(),
        actor=rights.actor,
        action=action,
        object_type=object_type,
        object_ids=[str(object_id) for object_id in object_ids],
        fields=sorted(fields),
        request_id=request.headers.get("X-Request-Id", "")[:64],
        address=shortened(request.META.get("REMOTE_ADDR", "")),
    )
