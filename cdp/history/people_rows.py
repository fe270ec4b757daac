"""People as rows of the lake: the golden record of each, their consents, and which ids are people no more."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdp.consents.state import ConsentState, consents_by_person
from cdp.core.bulk import Database
from cdp.lake.person_rows import PersonRows
from cdp.lake.schema import DENIED, FOR_EVER, Typed
from cdp.traits.catalogue import personal_keys
from cdp.traits.document import Document, open_document
from cdp.traits.golden import MergeEdge, edges_of, fold

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 5000


@dataclass(frozen=True, slots=True)
class Changed:
    """What was described in a range of fences: people to describe anew, and ids that are none, with their fence."""

    people: list[int]
    gone: list[tuple[int, int]]

    def __bool__(self) -> bool:
        return bool(self.people or self.gone)


@dataclass(frozen=True, slots=True)
class _Fragment:
    id: int
    created: int
    updated: int
    described: int


def changed_people(db: Database, after: int, upto: int) -> Changed:
    """Who was described, merged, unmerged or deleted under the fences above `after` up to `upto`: two queries."""
    described = db.rows(
        "select id, person_id, described from profiles_profile where described > ? and described <= ?", (after, upto)
    )
    deleted = db.rows(
        "select profile_id, deleted_in from profiles_deletedprofile where deleted_in > ? and deleted_in <= ?",
        (after, upto),
    )
    gone = [(id_, number) for id_, person, number in described if id_ != person]
    return Changed(sorted({person for _, person, _ in described}), [*gone, *deleted])


def people_rows(
    db: Database, people: Sequence[int], *, now: int, typed: Mapping[str, Typed], upto: int | None = None
) -> "pa.Table":
    """The state of the people with these ids at `now`, one row each: four queries for up to `CHUNK` of them.

    An id that is no person's gives no row, nor does, with `upto`, somebody who was described above that fence too.
    """
    rows = PersonRows(typed, personal_keys().__contains__)
    fragments = _fragments(db, people, upto)
    ids = [fragment.id for group in fragments.values() for fragment in group]
    documents = _documents(db, ids)
    edges: dict[int, list[MergeEdge]] = defaultdict(list)
    owner = {fragment.id: person for person, group in fragments.items() if len(group) > 1 for fragment in group}
    for edge in edges_of(owner):
        edges[owner[edge.source_id]].append(edge)
    consents = consents_by_person([[f.id for f in group] for group in fragments.values()], now=now) if ids else []
    for (person, group), states in zip(fragments.items(), consents, strict=True):
        own = [(f.id, documents.get(f.id, {})) for f in group]
        traits, expires = _golden(own, edges[person], now=now)
        updated = max(f.updated for f in group)
        rows.add(
            person,
            max(f.described for f in group),
            updated,
            fragments=[f.id for f in group],
            created=group[0].created,
            traits=traits,
            expires=expires,
            consents={state.type: _until(state) for state in states},
            next_expiry=_next_expiry(own, after=updated),
        )
    return rows.table()


def gone_rows(gone: Sequence[tuple[int, int]], *, now: int, typed: Mapping[str, Typed]) -> "pa.Table":
    """Rows that say that these ids (with the fence that says so) are people no more."""
    rows = PersonRows(typed, frozenset[str]().__contains__)
    for person, number in gone:
        rows.add_gone(person, number, now)
    return rows.table()


def _fragments(db: Database, people: Sequence[int], upto: int | None) -> dict[int, list[_Fragment]]:
    rows = db.rows_in(
        "select id, person_id, created_at, updated_at, described from profiles_profile"
        " where person_id {in} order by id",
        people,
        "bigint",
    )
    groups: dict[int, list[_Fragment]] = defaultdict(list)
    for id_, person, created, updated, described in rows:
        groups[person].append(_Fragment(id_, created, updated, described))
    if upto is None:
        return groups
    return {person: group for person, group in groups.items() if all(f.described <= upto for f in group)}


def _documents(db: Database, ids: Sequence[int]) -> dict[int, Document]:
    rows = db.rows_in("select profile_id, body from traits_traitdocument where profile_id {in}", ids, "bigint")
    return {profile: open_document(body) for profile, body in rows}


def _golden(
    documents: Sequence[tuple[int, Document]], edges: Sequence[MergeEdge], *, now: int
) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """The golden values and the ends of those that expire; for one profile alone there is nothing to fold."""
    if len(documents) == 1:
        live = {key: value for key, value in documents[0][1].items() if value.value is not None and value.live(now)}
        values: Mapping[str, Any] = live
    else:
        values = fold(dict(documents), edges, now=now).values
    expires = [(key, value.expires_at) for key, value in values.items() if value.expires_at is not None]
    return {key: value.value for key, value in values.items()}, expires


def _next_expiry(documents: Sequence[tuple[int, Document]], *, after: int) -> int | None:
    """When the first value runs out, also a personal one, also one that already has: whoever looked at the person when

    it was written (`after`) must look again.
    """
    ends = [
        value.expires_at for _, document in documents for value in document.values() if value.expires_at is not None
    ]
    return min((end for end in ends if end > after), default=None)


def _until(state: ConsentState) -> int:
    if not state.granted:
        return DENIED
    return FOR_EVER if state.expires_at is None else state.expires_at
