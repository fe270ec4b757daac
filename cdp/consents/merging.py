"""Consent at a merge (IDENTITY.md rule 7): the more restrictive known state wins, and both records stay."""

import uuid
from collections import defaultdict
from collections.abc import Sequence

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
        "merge": "uuid",
        "body": "bytea",
    },
)


def restrict_consents(db: Database, merges: Sequence[tuple[uuid.UUID, int, int]], *, now: int) -> None:
    """For merges (public id, target profile, source profile) whose people are still apart in the store:

    where one side granted a type and the other one withdrew it, add a ledger row `cause=merge` that withdraws it on the
    granting side. It counts while that merge is active; a later grant wins by its time. Two queries at most.
    """
    if not merges:
        return
    states, people = _states(db, {profile for _, target, source in merges for profile in (target, source)}, now=now)
    rows = []
    for public_id, target, source in merges:
        one, other = states[people.get(target, target)], states[people.get(source, source)]
        for kind in sorted(one.keys() & other.keys()):
            if one[kind] != other[kind]:
                granting = target if one[kind] else source
                rows.append((uuid7(now), granting, kind, False, now, None, "merge", "merge", public_id, None))
                one[kind] = other[kind] = False
        merged = {**one, **other}
        one.update(merged)
        other.update(merged)
    db.insert(RECORDS, rows)


def _states(db: Database, profiles: set[int], *, now: int) -> tuple[dict[int, dict[str, bool]], dict[int, int]]:
    """What each person's consents are now (the newest row that has not expired and whose merge, if any, is active),

    and the person of each of `profiles` about whom the ledger has a row.
    """
    rows = db.rows_in(
        "select f.id, f.person_id, c.id, c.type, c.granted, c.expires_at from profiles_profile f"
        " join profiles_profile p on p.person_id = f.person_id"
        " join consents_consentrecord c on c.profile_id = p.id left join profiles_merge m on m.public_id = c.merge"
        " where (c.merge is null or m.active) and f.id {in} order by c.at, c.id",
        profiles,
        "bigint",
    )
    states: dict[int, dict[str, bool]] = defaultdict(dict)
    people: dict[int, int] = {}
    for profile, person, _, kind, granted, expires_at in rows:
        people[profile] = person
        if expires_at is not None and expires_at <= now:
            states[person].pop(kind, None)
        else:
            states[person][kind] = bool(granted)
    return states, people
