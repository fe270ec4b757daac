"""Why people entered or left: what was written about them since the segment was last brought up to date."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cdp.core.bulk import Database
from cdp.events.body import open_body
from cdp.history.reading import database
from cdp.segments.generations import CHUNK, Cause, Change, Group

IMPORTED = 1
"""The flag of an event that was imported as history (`cdp.pipeline.message.HISTORICAL`)."""

_FRAGMENTS = "select id, person_id, touched, described from profiles_profile where person_id {in}"
_OWN = "select id, person_id, touched, described from profiles_profile where id {in}"
_MERGED = "select {side} from profiles_merge where fence > ? and {side} {{in}}"
_EVENTS = "select profile_id, body from events_event where id > ? and profile_id {in}"


@dataclass(frozen=True, slots=True)
class Since:
    """From where on writes count: the fence, and the last event of that fence."""

    fence: int
    event: int


@dataclass(slots=True)
class _Written:
    """What was written since, by person."""

    known: set[int] = field(default_factory=set)
    merged: set[int] = field(default_factory=set)
    described: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)
    historical: set[int] = field(default_factory=set)

    def cause(self, person: int, otherwise: Cause) -> Cause:
        if person not in self.known:
            return Cause.DELETED
        if person in self.merged:
            return Cause.MERGE
        if person in self.described:
            return Cause.TRAIT
        return Cause.EVENT if person in self.touched else otherwise


def reasons(
    people: Sequence[int], *, since: Since, otherwise: Mapping[int, Cause], usual: Cause
) -> dict[int, tuple[Cause, bool]]:
    """For each of `people` the cause, and whether only imported history made it: four queries for each `CHUNK`.

    Where nothing was written about a person, `otherwise` says the cause, or `usual`.
    """
    found = {}
    for some in _chunks(people):
        written = _written(database(), some, since)
        for person in some:
            cause = written.cause(person, otherwise.get(person, usual))
            found[person] = cause, person in written.historical
    return found


def grouped(
    entered: Sequence[int], left: Sequence[int], why: Mapping[int, tuple[Cause, bool]], *, by_events: bool
) -> list[Group]:
    """`entered` and `left` by cause. `by_events`: no trait can matter to the segment, so an event was the cause."""
    steps: dict[tuple[Change, Cause, bool], list[int]] = {}
    for change, people in ((Change.ENTERED, entered), (Change.LEFT, left)):
        for person in people:
            cause, historical = why[person]
            if by_events and cause == Cause.TRAIT:
                cause = Cause.EVENT
            steps.setdefault((change, cause, historical), []).append(person)
    return [Group(change, cause, people, historical) for (change, cause, historical), people in steps.items()]


def _chunks(people: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(people), CHUNK):
        yield people[start : start + CHUNK]


def _written(db: Database, people: Sequence[int], since: Since) -> _Written:
    written = _Written()
    of: dict[int, int] = {}
    described: set[int] = set()
    for fragment, person, touched, described_in in db.rows_in_each(
        [(_FRAGMENTS, people, "bigint", ()), (_OWN, people, "bigint", ())]
    ):
        written.known |= {fragment, person}
        of[fragment] = person
        if touched > since.fence:
            written.touched.add(person)
        if described_in > since.fence:
            described.add(fragment)
    written.described = {of[fragment] for fragment in described}
    written.merged = {person for person in people if of.get(person, person) != person}
    for fragment in _merged(db, described, since.fence):
        written.merged |= {fragment, of[fragment]}
    written.historical = _historical(db, [fragment for fragment, p in of.items() if p in written.touched], of, since)
    return written


def _merged(db: Database, fragments: Iterable[int], fence: int) -> set[int]:
    ids = list(fragments)
    parts = [(_MERGED.format(side=side), ids, "bigint", (fence,)) for side in ("target_id", "source_id")]
    return {row[0] for row in db.rows_in_each(parts)}


def _historical(db: Database, fragments: Sequence[int], of: Mapping[int, int], since: Since) -> set[int]:
    """People about whom nothing but imported events came."""
    imported: dict[int, bool] = {}
    for fragment, body in db.rows_in(_EVENTS, fragments, "bigint", (since.event,)):
        person = of[fragment]
        imported[person] = imported.get(person, True) and bool(open_body(body).flags & IMPORTED)
    return {person for person, only in imported.items() if only}
