"""Loading what the resolver needs to know, and writing what it decided: a constant number of queries."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cdp.core.bulk import Database, Table
from cdp.identities.decisions import Use
from cdp.identities.resolve import JOIN_WINDOW, Candidate, Owned, Population
from cdp.identities.rules import MERGE_CAP_WINDOW, Rules
from cdp.identities.value import IdentifierBody, seal_identifier

IDENTIFIERS = Table(
    "identities_identifier",
    {
        "digest": "bytea",
        "profile_id": "bigint",
        "type_id": "smallint",
        "namespace": "text",
        "key_version": "smallint",
        "linking": "boolean",
        "trusted": "boolean",
        "verified_at": "bigint",
        '"primary"': "boolean",
        "first_seen": "bigint",
        "body": "bytea",
    },
    key=("digest", "profile_id"),
    fixed=("verified_at", '"primary"', "body", "key_version"),
)
LOG = Table(
    "identities_identitylog",
    {
        "at": "bigint",
        "kind": "text",
        "rule": "text",
        "profile_id": "bigint",
        "other_id": "bigint",
        "type_id": "smallint",
        "digest": "bytea",
        "event": "bytea",
        "actor": "text",
    },
)
HELD = Table(
    "identities_quarantinedidentifier", {"digest": "bytea", "type_id": "smallint", "created_at": "bigint"}, ("digest",)
)
_OWNERS = (
    "select i.type_id, i.namespace, i.digest, i.profile_id, i.first_seen, i.linking, i.trusted, p.person_id,"
    " i.verified_at from identities_identifier i join profiles_profile p on p.id = i.profile_id"
    " where i.linking and i.digest {in}"
)


def load_population(
    db: Database,
    rules: Rules,
    messages: Sequence[Sequence[Candidate]],
    *,
    versions: Mapping[bytes, Sequence[bytes]],
    addressed: Mapping[int, int],
    now: int,
) -> Population:
    """What is stored about the candidates of `messages`: two queries.

    `versions` gives for each candidate's digest the digests under all active keys; `addressed` maps profiles that
    messages name directly to their people. A candidate whose type only verified values find by, and that nobody has
    verified, links no more.
    """
    population = Population(user_kind=rules.kinds["user_id"].id)
    canonical = {old: newest for newest, all_ in versions.items() for old in all_}
    strict = {kind.id for kind in rules.kinds.values() if kind.verified_only}
    for row in db.rows_in(_OWNERS, canonical, "bytea"):
        if row[0] not in strict or row[8] is not None:
            population.add_owner(_owned(row, canonical), row[7])
    population.person.update(addressed)
    for candidates in messages:
        for candidate in candidates:
            if candidate.kind.verified_only and not candidate.verified and candidate.digest not in population.owner:
                candidate.links, candidate.use = False, Use.UNVERIFIED
    open_, people = _undecided(population, messages, set(addressed.values()))
    if not open_:
        return population
    _load_people(db, population, people, open_, canonical, now=now)
    return population


def store_population(db: Database, population: Population, *, key_version: int, now: int) -> None:
    """Write the new identifiers, the log and the values that were quarantined: at most three queries."""
    latest = {(a.candidate.digest, a.profile_id): a for a in population.additions}
    db.upsert(
        IDENTIFIERS,
        [
            (
                digest,
                profile_id,
                a.candidate.kind.id,
                a.candidate.namespace,
                key_version,
                a.linking,
                a.trusted,
                None,
                False,
                a.first_seen,
                seal_identifier(IdentifierBody(a.candidate.value, _raw(a.candidate))),
            )
            for (digest, profile_id), a in latest.items()
        ],
    )
    db.insert(
        LOG,
        [
            (now, row.kind, row.rule, row.profile_id, row.other_id, row.type_id, row.digest, row.event, "")
            for row in population.log
        ],
    )
    db.insert_missing(HELD, [(digest, kind_id, now) for digest, kind_id in population.held])


def _raw(candidate: Candidate) -> str:
    return candidate.raw if candidate.raw != candidate.value else ""


def _owned(row: Sequence[Any], canonical: Mapping[bytes, bytes]) -> Owned:
    type_id, namespace, stored, profile_id, first_seen, linking, trusted, *_ = row
    digest = bytes(stored)
    newest = canonical.get(digest, digest)
    return Owned(
        type_id,
        namespace,
        newest,
        profile_id,
        first_seen,
        bool(linking),
        bool(trusted),
        stale=newest != digest,
    )


def _undecided(
    population: Population, messages: Iterable[Sequence[Candidate]], people: set[int]
) -> tuple[set[bytes], set[int]]:
    """The digests of messages that may add or join something, and the people that they name."""
    digests: set[bytes] = set()
    for candidates in messages:
        owners = {population.find(o) for c in candidates if (o := population.owner.get(c.digest)) is not None}
        if len(owners) == 1 and all(candidate.digest in population.owner for candidate in candidates):
            continue
        digests.update(candidate.digest for candidate in candidates)
        people |= owners
    return digests, people


_THEIRS = (
    "select 'owned' as part, p.person_id as a, i.profile_id as b, i.type_id as c, i.first_seen as d,"
    " i.digest as digest, i.namespace as namespace, i.linking as linking, i.trusted as trusted"
    " from identities_identifier i join profiles_profile p on p.id = i.profile_id where p.person_id {in}"
)
_NO_IDENTIFIER = "'', false, false"
_MERGES = (
    f"select 'merges', p.person_id, count(*), 0, 0, cast(null as bytea), {_NO_IDENTIFIER}"
    " from profiles_merge m"
    " join profiles_profile p on p.id = m.target_id where m.created_at > ? and p.person_id {in} group by p.person_id"
)
_APART = (
    f"select 'apart', k.first_id, f.person_id, k.second_id, s.person_id, cast(null as bytea), {_NO_IDENTIFIER}"
    " from profiles_keepapart k"
    " join profiles_profile f on f.id = k.first_id join profiles_profile s on s.id = k.second_id"
    " where k.lifted_at is null and f.person_id {in}"
)
_JOINED = (
    f"select 'joined', 0, count(*), 0, 0, via, {_NO_IDENTIFIER} from (select via_target as via, created_at"
    " from profiles_merge union all select via_source, created_at from profiles_merge) m"
    " where created_at > ? and via {in} group by via"
)
_HELD = (
    f"select 'held', 0, 0, 0, 0, digest, {_NO_IDENTIFIER} from identities_quarantinedidentifier"
    " where released_at is null and digest {in}"
)


def _load_people(
    db: Database,
    population: Population,
    people: set[int],
    digests: set[bytes],
    canonical: Mapping[bytes, bytes],
    *,
    now: int,
) -> None:
    """All identifiers of `people`, what keeps them apart, how many merges they had of late, how many people each value

    joined, and which values are held: one query.
    """
    rows = db.rows_in_each(
        [
            (_THEIRS, people, "bigint", ()),
            (_MERGES, people, "bigint", (now - MERGE_CAP_WINDOW,)),
            (_APART, people, "bigint", ()),
            (_JOINED, digests, "bytea", (now - JOIN_WINDOW,)),
            (_HELD, digests, "bytea", ()),
        ]
    )
    for part, person, profile_id, type_id, first_seen, digest, namespace, linking, trusted in rows:
        if part == "owned":
            row = type_id, namespace, digest, profile_id, first_seen, linking, trusted
            population.add_row(_owned(row, canonical), person)
    for part, a, b, c, d, digest, *_ in rows:
        if part == "merges":
            population.people[a].merges = b
        elif part == "apart" and d in people:
            population.person[a], population.person[c] = b, d
            population.apart[a].add(c)
        elif part == "joined":
            population.joined[bytes(digest)] = b
        elif part == "held":
            population.quarantined.add(bytes(digest))
