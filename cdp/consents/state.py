"""What a person allows now, read from the ledger."""

from collections.abc import Sequence

import msgspec
from django.db.models import Exists, OuterRef, Q

from cdp.consents.models import ConsentRecord
from cdp.profiles.models import Merge


class ConsentState(msgspec.Struct, frozen=True):
    """The statement that counts for one type; `granted` is false once a grant has expired. Times are µs."""

    type: str
    granted: bool
    at: int
    expires_at: int | None
    source: str
    cause: str


def consents_of(fragments: Sequence[int], *, now: int) -> list[ConsentState]:
    """The state of every consent type that the profiles `fragments` ever said something about, by type: one query.

    The newest statement counts; what a merge wrote counts only while that merge is active (IDENTITY.md rule 7).
    """
    active = Exists(Merge.objects.filter(public_id=OuterRef("merge"), active=True))
    rows = ConsentRecord.objects.filter(Q(merge=None) | active, profile_id__in=fragments, at__lte=now)
    newest = {row.type: row for row in rows.order_by("at", "id").defer("body")}
    return [
        ConsentState(
            type=kind,
            granted=row.granted and (row.expires_at is None or row.expires_at > now),
            at=row.at,
            expires_at=row.expires_at,
            source=row.source,
            cause=row.cause,
        )
        for kind, row in sorted(newest.items())
    ]
