"""Letting somebody come back who was erased: lifting the suppression of one identifier, with a reason."""

from django.db import transaction

from cdp.access.audit import record_change
from cdp.core.clock import now_us
from cdp.core.errors import Invalid
from cdp.identities.models import SuppressedIdentifier
from cdp.identities.suppression import lift
from cdp.privacy.journal import Line, write_lines

MOST_TEXT = 500


def lift_suppression(row: SuppressedIdentifier, *, actor: str, why: str) -> SuppressedIdentifier:
    """Let messages with this identifier in again; whoever sends it is somebody new. Recorded in audit and journal.

    Raises Invalid without a reason, Conflict when it was lifted before.
    """
    said = why.strip()
    if not 1 <= len(said) <= MOST_TEXT:
        message = f"Say why in 1 to {MOST_TEXT} characters, such as: the person came back and asked for an account."
        raise Invalid(message, code="reason_missing", details={"path": "reason"})
    now = now_us()
    with transaction.atomic():
        lifted = lift(row, by=actor, why=said, now=now)
        record_change(
            actor,
            action="lift",
            object_type="suppressedidentifier",
            object_ids=[row.pk],
            fields=["lifted_at"],
            why=said,
        )
        write_lines([Line("lift", bytes(row.digest).hex(), now)])
    return lifted
