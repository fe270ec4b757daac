"""Who is in a segment: always at one whole generation, in pages, and counted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from typing import TYPE_CHECKING

import msgspec

from cdp.core.bulk import Database
from cdp.history.reading import database
from cdp.segments.models import Segment

if TYPE_CHECKING:
    import pyarrow as pa

PAGE = 5_000

_AT = "from_gen <= ? and (to_gen is null or to_gen > ?)"
_PAGE = f"""
    select m.person_id, {{public_id}}, m.entered_at from segments_membership m
    join profiles_profile p on p.id = m.person_id
    where m.segment_id = ? and m.person_id > ? and {_AT} order by m.person_id limit ?"""
_DASHED = " || '-' || ".join(
    f"substr(p.public_id, {at}, {n})" for at, n in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
)
"""SQLite keeps a UUID as 32 hex digits. Putting in the dashes there costs a tenth of what it does here."""
_CURRENT = "m.from_gen <= s.generation and (m.to_gen is null or m.to_gen > s.generation)"


class Member(msgspec.Struct, frozen=True):
    """A person in a segment; `entered_at` in µs."""

    person_id: int
    public_id: str
    entered_at: int


def members_after(segment: Segment, person_id: int = 0, *, limit: int, generation: int | None = None) -> list[Member]:
    """Up to `limit` members after the person `person_id`, oldest person first: one query.

    Without `generation` the one that `segment` was loaded with. The rows of an older generation stay readable for a day
    after they were replaced, but for people who were deleted.
    """
    at = segment.generation if generation is None else generation
    return _members(_PAGE, (segment.pk, person_id, at, at, limit))


def members_page(segment: Segment, *, offset: int, limit: int) -> list[Member]:
    """`limit` members from the `offset`-th on: one query, slower the deeper it reaches."""
    at = segment.generation
    return _members(f"{_PAGE} offset ?", (segment.pk, 0, at, at, limit, offset))


def _members(sql: str, params: Sequence[int]) -> list[Member]:
    db = database()
    text = "p.public_id::text" if db.postgres else _DASHED
    return list(starmap(Member, db.rows(sql.format(public_id=text), params)))


def member_pages(segment: Segment) -> Iterator[list[Member]]:
    """All members of the generation that `segment` was loaded with, `PAGE` at a time, in constant memory."""
    last = 0
    while page := members_after(segment, last, limit=PAGE):
        yield page
        last = page[-1].person_id


def segments_of(people: Iterable[int]) -> dict[int, list[str]]:
    """The keys of the segments that each of `people` (ids of people) is in now, in order: one query."""
    found: dict[int, list[str]] = {person: [] for person in people}
    sql = f"""
        select m.person_id, s.key from segments_membership m join segments_segment s on s.id = m.segment_id
        where {_CURRENT} and m.person_id {{in}} order by s.key"""
    for person, key in database().rows_in(sql, found, "bigint"):
        found[person].append(key)
    return found


def members_among(segments: Sequence[int], people: Sequence[int]) -> dict[int, set[int]]:
    """Which of `people` are in each of the segments with these ids, in the open rows: for the holder of the lease."""
    found: dict[int, set[int]] = {segment_id: set() for segment_id in segments}
    sql = "select segment_id, person_id from segments_membership where to_gen is null and person_id {in}"
    for segment_id, person in database().rows_in(sql, people, "bigint"):
        if segment_id in found:
            found[segment_id].add(person)
    return found


def member_ids(segment_id: int) -> list[int]:
    """The ids of all people in the open rows of a segment, in order: for the holder of the lease."""
    sql = "select person_id from segments_membership where segment_id = ? and to_gen is null order by person_id"
    return [row[0] for row in database().rows(sql, (segment_id,))]


def members_table(
    keys: Iterable[str], *, people: Sequence[int] | None = None, known: Mapping[str, Iterable[int]] | None = None
) -> "pa.Table":
    """Current members of the segments `keys` as Arrow (`segment`, `person`), of `people` only if given.

    `known` replaces what the store says of a segment.
    """
    import pyarrow as pa

    known = known or {}
    names: list[str] = []
    persons: list[int] = []
    for key, members in known.items():
        ids = list(members)
        names += [key] * len(ids)
        persons += ids
    for key, person in _current(database(), [key for key in keys if key not in known], people):
        names.append(key)
        persons.append(person)
    return pa.table({"segment": pa.array(names, pa.string()), "person": pa.array(persons, pa.int64())})


def _current(db: Database, keys: Sequence[str], people: Sequence[int] | None) -> list[tuple[str, int]]:
    sql = f"""
        select s.key, m.person_id from segments_membership m join segments_segment s on s.id = m.segment_id
        where {_CURRENT} and """
    if people is None:
        return db.rows_in(f"{sql} s.key {{in}}", keys, "text")
    wanted = set(keys)
    return (
        [row for row in db.rows_in(f"{sql} m.person_id {{in}}", people, "bigint") if row[0] in wanted] if keys else []
    )
