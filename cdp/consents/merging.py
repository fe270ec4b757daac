"""Consent at a merge (IDENTITY.md rule 7): the more restrictive known state wins, and both records stay.

The fold applies that rule by itself, from the merges as they are active (`cdp.consents.fold`). The rows that are
written here are its record: whoever reads the ledger sees when a merge took a permission away, and which merge it was.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence

from cdp.consents.fold import Join, Said, at_odds, joined
from cdp.consents.rows import RECORDS
from cdp.consents.state import OF_PEOPLE, OWNED, Found
from cdp.core.bulk import Database
from cdp.core.ids import uuid7


def restrict_consents(db: Database, merges: Sequence[tuple[uuid.UUID, int, int]], *, now: int) -> None:
    """For merges (public id, target profile, source profile) whose people are still apart in the store:

    where one side allows a purpose that the other has withdrawn, add a ledger row `cause=merge` that withdraws
    it on the allowing side. Two queries at most.
    """
    if not merges:
        return
    said, group = _said(db, {profile for _, target, source in merges for profile in (target, source)}, now=now)

    def root(profile: int) -> int:
        at = group.get(profile, profile)
        while group.get(at, at) != at:
            at = group[at]
        return at

    rows = []
    for public_id, target, source in merges:
        first, second = root(target), root(source)
        if first == second:
            continue
        one, other = said[first], said.pop(second, {})
        for kind in sorted(one.keys() & other.keys()):
            if at_odds(one[kind], other[kind], at=now):
                allowing = target if one[kind].allows(now) else source
                rows.append(
                    (uuid7(now), allowing, kind, False, now, now, None, "merge", "merge", public_id, None, None)
                )
        said[first] = joined(one, other, Join(now, 0, target, source))
        group[second] = first
    db.insert(RECORDS, rows)


def _said(db: Database, profiles: set[int], *, now: int) -> tuple[dict[int, Said], dict[int, int]]:
    """What counts now of what each person said, by person, and the person of every profile: one query."""
    rows = db.rows_in(OF_PEOPLE, profiles, "bigint", (now,))
    people: dict[int, list[int]] = defaultdict(list)
    for what, profile, person, *_ in rows:
        if what == OWNED:
            people[person].append(profile)
    said = dict(zip(people, Found.of(rows).folded(list(people.values()), now=now), strict=True))
    return defaultdict(dict, said), {profile: person for person, owned in people.items() for profile in owned}
