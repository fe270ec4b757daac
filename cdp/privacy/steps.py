"""Which step of a request's life may follow which, and how one is taken: alone, and with an audit entry."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from django.db import transaction

from cdp.access.audit import record_change
from cdp.core.errors import Conflict
from cdp.privacy.deadlines import OPEN
from cdp.privacy.models import PrivacyRequest

Status = PrivacyRequest.Status
OBJECT = "privacyrequest"
"""How the audit calls a request."""
STEPS: Mapping[str, frozenset[str]] = {
    "verify": frozenset({Status.UNVERIFIED}),
    "send-link": frozenset({Status.UNVERIFIED}),
    "process": frozenset({Status.PENDING, Status.PARTIAL}),
    "extend": frozenset(OPEN),
    "reject": frozenset({Status.UNVERIFIED, Status.PENDING}),
    "cancel": frozenset({Status.UNVERIFIED, Status.PENDING}),
}
"""Step → the statuses in which it may be taken."""


def steps_of(request: PrivacyRequest) -> list[str]:
    """The steps that may be taken now, in their order."""
    allowed = [step for step, statuses in STEPS.items() if request.status in statuses]
    if request.extended_at is not None and "extend" in allowed:
        allowed.remove("extend")
    return allowed


@contextmanager
def locked(request: PrivacyRequest) -> Iterator[PrivacyRequest]:
    """A transaction that locks the request's row, given fresh."""
    with transaction.atomic():
        yield PrivacyRequest.objects.select_for_update().get(pk=request.pk)


@contextmanager
def taking(step: str, request: PrivacyRequest) -> Iterator[PrivacyRequest]:
    """`locked`, for a step that the request allows. Raises Conflict."""
    with locked(request) as row:
        if row.status not in STEPS[step]:
            now = row.get_status_display().lower()
            message = f"This request cannot be changed so any more: it is “{now}”."
            raise Conflict(message, code="wrong_status", details={"status": row.status, "next": steps_of(row)})
        yield row


def record(actor: str, action: str, request: PrivacyRequest, *, fields: Sequence[str] = (), why: str = "") -> None:
    """Write the audit entry of a step, in its transaction."""
    record_change(actor, action=action, object_type=OBJECT, object_ids=[request.public_id], fields=fields, why=why)
