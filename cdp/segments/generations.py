"""Writing who enters and who leaves: rows of the next generation first, then one small transaction turns it over.

Readers see a generation whole or not at all. A process that dies leaves rows that nobody sees; whoever holds the lease
next deletes them (`cdp.segments.lease`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdp.core.bulk import Database, Table
from cdp.core.clock import HOUR
from cdp.segments.lease import Lease, hold
from cdp.segments.models import MembershipChange, Segment
from cdp.segments.store import writing

Change = MembershipChange.Change
Cause = MembershipChange.Cause
CHUNK = 5_000

_MEMBERS = Table(
    "segments_membership",
    {"segment_id": "bigint", "person_id": "bigint", "from_gen": "integer", "entered_at": "bigint"},
)
CHANGES = Table(
    "segments_membershipchange",
    {
        "segment_id": "bigint",
        "person_id": "bigint",
        "generation": "integer",
        "change": "text",
        "cause": "text",
        "historical": "boolean",
        "at": "bigint",
    },
)
_SIZES = Table(
    "segments_segmentsize",
    {"segment_id": "bigint", "hour": "bigint", "size": "bigint", "entries": "bigint", "exits": "bigint"},
    key=("segment_id", "hour"),
)
_ADD_UP = """on conflict (segment_id, hour) do update set size = excluded.size,
    entries = segments_segmentsize.entries + excluded.entries, exits = segments_segmentsize.exits + excluded.exits"""
_SEGMENTS = Table(
    "segments_segment",
    {
        "generation": "integer",
        "size": "bigint",
        "computed_version": "integer",
        "computed_at": "bigint",
        "swept_at": "bigint",
        "cursor": "bigint",
        "event_cursor": "bigint",
        "seen": "jsonb",
        "building": "boolean",
        "error": "text",
        "error_at": "bigint",
        "id": "bigint",
    },
)


@dataclass(frozen=True, slots=True)
class Group:
    """People who all enter, or all leave, for the same reason. `historical`: only imported history caused it."""

    change: Change
    cause: Cause
    people: Sequence[int]
    historical: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """The step of one segment from its generation to the next.

    What the segment has seen when it is done (`computed_version`, `swept_at`, `cursor`, `event_cursor`, `seen`) is set
    on `segment` by whoever evaluated it.
    """

    segment: Segment
    groups: Sequence[Group]

    def count(self, change: Change) -> int:
        """How many enter or leave."""
        return sum(len(group.people) for group in self.groups if group.change == change)


def turn_over(turns: Sequence[Turn], lease: Lease, *, since: int, now: int) -> None:
    """Write the turns: all at once when they are small, in chunks of `CHUNK` people and a last step when not.

    `since` is the fence up to which the turns have seen deletions. A segment without a change keeps its generation;
    its time and cursors are written all the same. A constant number of statements for each chunk, whatever the number
    of segments. Raises LeaseLost: nothing of that transaction is written, and what chunks before it wrote nobody sees.
    """
    if not turns:
        return
    pieces = list(_pieces(turns))
    for piece in pieces[:-1]:
        ids = sorted({turn.segment.pk for turn, _ in piece})
        with writing() as db:
            hold(db, lease, ids)
            db.execute_in("update segments_segment set building = true where id {in}", ids, "bigint")
            _write(db, piece, now=now)
    with writing() as db:
        sizes = hold(db, lease, sorted(turn.segment.pk for turn in turns))
        if pieces:
            _write(db, pieces[-1], now=now)
        _finish(db, turns, sizes, since=since, now=now)


def _pieces(turns: Sequence[Turn]) -> list[list[tuple[Turn, Group]]]:
    """The groups in order, cut so that no piece has more than `CHUNK` people."""
    pieces: list[list[tuple[Turn, Group]]] = []
    room = 0
    for turn in turns:
        for group in turn.groups:
            start = 0
            while start < len(group.people):
                if not room:
                    pieces.append([])
                    room = CHUNK
                part = group.people[start : start + room]
                pieces[-1].append((turn, Group(group.change, group.cause, part, group.historical)))
                start += len(part)
                room -= len(part)
    return pieces


def _write(db: Database, piece: Sequence[tuple[Turn, Group]], *, now: int) -> None:
    """Members and changes of the next generation: three statements."""
    entering: list[tuple[int, int, int, int]] = []
    leaving: list[tuple[int, int, int, int]] = []
    changes: list[tuple[Any, ...]] = []
    for turn, group in piece:
        segment_id, generation = turn.segment.pk, turn.segment.generation + 1
        change, cause = str(group.change), str(group.cause)
        changes += [(segment_id, p, generation, change, cause, group.historical, now) for p in group.people]
        if group.change == Change.ENTERED:
            entering += [(segment_id, person, generation, now) for person in group.people]
        else:
            leaving += [(generation, now, segment_id, person) for person in group.people]
    _close(db, leaving)
    db.insert(_MEMBERS, entering)
    db.insert(CHANGES, changes)


def _close(db: Database, leaving: Sequence[tuple[int, int, int, int]]) -> None:
    """End memberships, each (generation, time, segment, person): one statement."""
    if db.postgres and leaving:
        db.execute(
            "update segments_membership m set to_gen = k.generation, left_at = k.at"
            " from unnest(?::integer[], ?::bigint[], ?::bigint[], ?::bigint[]) k(generation, at, segment_id, person_id)"
            " where m.segment_id = k.segment_id and m.person_id = k.person_id and m.to_gen is null",
            [list(column) for column in zip(*leaving, strict=True)],
        )
    elif leaving:
        db.many(
            "update segments_membership set to_gen = ?, left_at = ?"
            " where segment_id = ? and person_id = ? and to_gen is null",
            leaving,
        )


def _finish(db: Database, turns: Sequence[Turn], sizes: Mapping[int, int], *, since: int, now: int) -> None:
    """The new generation is what everybody sees, with its size in the history: three statements."""
    counted = _counted(db, turns) if _deleted_since(db, since) else {}
    rows, history = [], []
    for turn in turns:
        segment = turn.segment
        entries, exits = turn.count(Change.ENTERED), turn.count(Change.LEFT)
        first = segment.computed_at is None
        size = counted.get(segment.pk, 0) if counted else sizes[segment.pk] + entries - exits
        segment.generation += 1 if entries or exits else 0
        segment.size, segment.computed_at, segment.building = size, now, False
        segment.error, segment.error_at = "", None
        rows.append([_column(segment, name) for name in _SEGMENTS.columns])
        if entries or exits or first:
            history.append((segment.pk, now // HOUR, size, entries, exits))
    db.update(_SEGMENTS, rows)
    db.insert(_SIZES, history, _ADD_UP)


def _column(segment: Segment, name: str) -> Any:
    return json.dumps(segment.seen) if name == "seen" else getattr(segment, name)


def _deleted_since(db: Database, fence: int) -> bool:
    """Whether people were deleted after the turns were made: then their counts cannot be trusted."""
    return bool(db.rows("select 1 from profiles_deletedprofile where deleted_in > ? limit 1", (fence,)))


def _counted(db: Database, turns: Sequence[Turn]) -> dict[int, int]:
    sql = "select segment_id, count(*) from segments_membership where to_gen is null and segment_id {in} group by 1"
    return {turn.segment.pk: 0 for turn in turns} | dict(db.rows_in(sql, [t.segment.pk for t in turns], "bigint"))
