"""What a segment was: its sizes, and the entries and exits that whoever acts on them reads by cursor."""

from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import transaction

from cdp.access.audit import record_change
from cdp.access.reading import as_uuid
from cdp.core.clock import DAY, HOUR
from cdp.history.reading import database
from cdp.segments.models import Segment, SegmentSize
from cdp.segments.store import writing

_CHANGES = """
    select c.id, c.person_id, p.public_id, c.change, c.cause, c.historical, c.at from segments_membershipchange c
    left join profiles_profile p on p.id = c.person_id
    where c.segment_id = ? and c.generation <= ? and """
_KEEP_GENERATIONS = DAY
_CHUNK = 5_000


class ChangeRow(msgspec.Struct, frozen=True):
    """An entry or an exit; `public_id` is None once the person was deleted. `at` in µs."""

    id: int
    person_id: int
    public_id: str | None
    change: str
    cause: str
    historical: bool
    at: int


def changes_after(segment: Segment, cursor: int, *, limit: int) -> list[ChangeRow]:
    """Up to `limit` changes of a segment after the one with the id `cursor`, oldest first: one query.

    Whoever keeps the last id as the cursor of this segment reads every change once, in the order of generations.
    """
    rows = database().rows(
        f"{_CHANGES} c.id > ? order by c.id limit ?", (segment.pk, segment.generation, cursor, limit)
    )
    return _rows(rows)


def last_changes(segment: Segment, *, limit: int) -> list[ChangeRow]:
    """The last `limit` changes of a segment, newest first: one query."""
    rows = database().rows(f"{_CHANGES} true order by c.id desc limit ?", (segment.pk, segment.generation, limit))
    return _rows(rows)


def sizes(segment: Segment, *, since: int) -> list[SegmentSize]:
    """The hours from `since` (µs) on in which the segment changed, oldest first, after the last one before it."""
    rows = SegmentSize.objects.filter(segment=segment)
    before = list(rows.filter(hour__lt=since // HOUR).order_by("-hour")[:1])
    return [*before, *rows.filter(hour__gte=since // HOUR).order_by("hour")]


def forget_old(*, now: int, keep_days: int) -> int:
    """Delete members of generations that were replaced a day ago, changes older than `keep_days`, and what a deleted
    segment left; returns how many rows. In transactions of up to 5,000 rows.
    """
    gone = _delete(_REPLACED, (now - _KEEP_GENERATIONS,)) + _delete_changes(now - keep_days * DAY)
    for table in _TABLES:
        last = 0
        while found := database().rows(f"select min(segment_id) from {table} where segment_id > ?", (last,))[0][0]:
            last = found
            if not Segment.objects.filter(pk=last).exists():
                gone += _delete(f"from {table} t where t.segment_id = ?", (last,))
    return gone


def delete_with_rows(segment: Segment, *, actor: str | None = None) -> None:
    """Delete a segment, and then its rows in short transactions; nobody sees them any more when the first is done."""
    segment_id = segment.pk
    with transaction.atomic():
        if actor is not None:
            ids = [segment.public_id]
            record_change(actor, action="delete", object_type="segment", object_ids=ids, fields=())
        segment.delete()
    for table in _TABLES:
        _delete(f"from {table} t where t.segment_id = ?", (segment_id,))


_TABLES = {
    "segments_membership": "segment_id, person_id, from_gen",
    "segments_membershipchange": "id",
    "segments_segmentsize": "segment_id, hour",
    "segments_listedprofile": "segment_id, profile_id",
}
_REPLACED = """from segments_membership t join segments_segment s on s.id = t.segment_id
    where t.left_at < ? and t.to_gen <= s.generation"""


def _delete(where: str, params: Sequence[int]) -> int:
    """Delete the rows of `t` in `from <table> t …`, 5,000 at a time; returns how many."""
    table = where.split()[1]
    key = _TABLES[table]
    chosen = ", ".join(f"t.{name}" for name in key.split(", "))
    sql = f"delete from {table} where ({key}) in (select {chosen} {where} limit {_CHUNK})"
    gone = 0
    while True:
        with writing() as db:
            some = db.execute(sql, params)
        gone += some
        if some < _CHUNK:
            return gone


def _delete_changes(before: int) -> int:
    """Ids grow with time: the oldest go first, until one is young enough."""
    gone = 0
    while True:
        with writing() as db:
            oldest = db.rows("select id, at from segments_membershipchange order by id limit ?", (_CHUNK,))
            old = [row[0] for row in oldest if row[1] < before]
            gone += db.execute_in("delete from segments_membershipchange where id {in}", old, "bigint")
        if len(old) < _CHUNK:
            return gone


def _rows(rows: Sequence[tuple[Any, ...]]) -> list[ChangeRow]:
    return [
        ChangeRow(id_, person, str(as_uuid(public_id)) if public_id else None, change, cause, bool(historical), at)
        for id_, person, public_id, change, cause, historical, at in rows
    ]
