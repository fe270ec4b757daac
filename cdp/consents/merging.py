"""Consent at a merge (IDENTITY.md rule 7): the more restrictive known state wins, and both records stay."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

from cdp.core.bulk import Database, Table
from cdp.core.ids import uuid7

RECORDS = Table(
    "consents_consentrecord",
    {
        "public_id": "uuid",
        "profile_id": "bigint",
        "type": "text",
        "granted": "boolean",
        "at": "bigint",
        "expires_at": "bigint",
        "source": "text",
        "cause": "text",
        "merge_id": "bigint",
        "body": "bytea",
    },
)


def restrict_consents(db: Database, merges: Sequence[tuple[uuid.UUID, int, int]], *, now: int) -> None:
    """For merges (public id, target profile, source profile) that are written while their people are still apart:

    where one side granted a type and the other one withdrew it, add a ledger row `cause=merge` that withdraws it on the
    granting side. It counts while that merge is active; a later grant wins by its time. Three queries at most.
    """
    if not merges:
        return
    numbers = dict(
        db.rows_in("select public_id, id from profiles_merge where public_id {in}", _ids(db, merges), "uuid")
    )
    people = _people(db, {profile for _, target, source in merges for profile in (target, source)})
    states = _states(db, set(people.values()), now=now)
    rows = []
    for public_id, target, source in merges:
        one, other = states[people.get(target, target)], states[people.get(source, source)]
        number = numbers.get(public_id, numbers.get(public_id.hex))
        for kind in sorted(one.keys() & other.keys()):
            if one[kind] != other[kind]:
                granting = target if one[kind] else source
                rows.append((uuid7(now), granting, kind, False, now, None, "merge", "merge", number, None))
                one[kind] = other[kind] = False
        merged = {**one, **other}
        one.update(merged)
        other.update(merged)
    db.insert(RECORDS, rows)


def _ids(db: Database, merges: Iterable[tuple[uuid.UUID, int, int]]) -> list[uuid.UUID | str]:
    return [public_id if db.postgres else public_id.hex for public_id, _, _ in merges]


def _people(db: Database, profiles: set[int]) -> dict[int, int]:
    return dict(db.rows_in("select id, person_id from profiles_profile where id {in}", profiles, "bigint"))


def _states(db: Database, people: set[int], *, now: int) -> dict[int, dict[str, bool]]:
    """What each person's consents are now: the newest row that has not expired and whose merge, if any, is active."""
    rows = db.rows_in(
        "select p.person_id, c.type, c.granted, c.expires_at from consents_consentrecord c"
        " join profiles_profile p on p.id = c.profile_id left join profiles_merge m on m.id = c.merge_id"
        " where (c.merge_id is null or m.active) and p.person_id {in} order by c.at, c.id",
        people,
        "bigint",
    )
    states: dict[int, dict[str, bool]] = defaultdict(dict)
    for person, kind, granted, expires_at in rows:
        if expires_at is not None and expires_at <= now:
            states[person].pop(kind, None)
        else:
            states[person][kind] = bool(granted)
    return states
