"""Stating consents for somebody: the rows of the ledger, the mark that segments follow, and the audit entry."""

import uuid
from collections.abc import Sequence

from cdp.access.audit import record_change
from cdp.consents.ledger import ConsentStatement, record_statement
from cdp.core.clock import now_us
from cdp.pipeline.lease import exclusive, mark_described
from cdp.profiles.people import fragment_of


def state_consents(
    public_id: uuid.UUID | str, purposes: Sequence[str], statement: ConsentStatement, *, actor: str, why: str = ""
) -> None:
    """Add `statement` about each of `purposes` (codes that exist) for the profile `public_id`, by `actor`.

    It stays with that profile when people are separated. Holds the processing fence; recorded in the audit. Raises
    NotFound, Invalid, TooLarge.
    """
    now = now_us()
    statement.checked(now=now)
    with exclusive() as db:
        fragment = fragment_of(public_id)
        mark_described(db, [fragment.pk], now=now)
        record_statement(fragment.pk, purposes, statement)
        record_change(
            actor,
            action="state consents",
            object_type="profile",
            object_ids=[fragment.person.public_id],
            fields=purposes,
            why=why,
        )
