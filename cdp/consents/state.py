"""What a person allows now, read from the ledger."""

from collections.abc import Sequence

import msgspec

from cdp.access.reading import rows_in

_STATEMENTS = """
    select c.profile_id, c.type, c.granted, c.at, c.expires_at, c.source, c.cause from consents_consentrecord c
    where (c.merge is null or exists (select 1 from profiles_merge m where m.public_id = c.merge and m.active))
      and c.at <= %s and c.profile_id in {in}
    order by c.at, c.id"""


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
    newest: list[dict[str, ConsentState]] = [{} for _ in people]
    for profile_id, kind, granted, at, expires_at, source, cause in rows_in(_STATEMENTS, owner, (now,)):
        newest[owner[profile_id]][kind] = ConsentState(
            type=kind,
            granted=bool(granted) and (expires_at is None or expires_at > now),
            at=at,
            expires_at=expires_at,
            source=source,
            cause=cause,
        )
    return [[state for _, state in sorted(said.items())] for said in newest]
