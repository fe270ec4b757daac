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
    return consents_by_person([fragments], now=now)[0]


def consents_by_person(people: Sequence[Sequence[int]], *, now: int) -> list[list[ConsentState]]:
    """`consents_of` for several people at once, each given by its profiles: one query for all."""
    owner = {fragment: number for number, fragments in enumerate(people) for fragment in fragments}
    active = Exists(Merge.objects.filter(public_id=OuterRef("merge"), active=True))
    rows = ConsentRecord.objects.filter(Q(merge=None) | active, profile_id__in=owner, at__lte=now)
    newest: list[dict[str, ConsentRecord]] = [{} for _ in people]
    for row in rows.order_by("at", "id").defer("body"):
        newest[owner[row.profile_id]][row.type] = row
    return [[_state(row, now=now) for _, row in sorted(said.items())] for said in newest]


def _state(row: ConsentRecord, *, now: int) -> ConsentState:
    return ConsentState(
        type=row.type,
        granted=row.granted and (row.expires_at is None or row.expires_at > now),
        at=row.at,
        expires_at=row.expires_at,
        source=row.source,
        cause=row.cause,
    )
