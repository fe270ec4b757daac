"""The lease of segments: whoever holds it alone writes their members. It runs out, so a dead process blocks nobody.

Holding is proved, not assumed: every writing transaction begins with `hold`, which locks the rows of the segments and
fails when somebody else took one of them. So a process that slept too long writes nothing.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cdp.core.bulk import Database
from cdp.core.clock import SECOND, now_us
from cdp.core.errors import Conflict
from cdp.core.holder import holder_name, is_gone
from cdp.history.reading import database
from cdp.segments.models import Segment
from cdp.segments.store import writing

LEASE = 60 * SECOND
_WAIT_SECONDS = 5.0
_NAP_SECONDS = 0.05


class LeaseLost(Exception):
    """Somebody else holds one of the segments: this transaction must write nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The segments that are held, as they were when they were taken, and the name of the holder."""

    holder: str
    segments: tuple[Segment, ...]

    @property
    def ids(self) -> list[int]:
        """Ids of the segments."""
        return [segment.pk for segment in self.segments]


@contextmanager
def leased(ids: Iterable[int]) -> Iterator[Lease]:
    """Hold those of the segments that nobody else holds until the end; what a dead holder left is cleaned away."""
    holder = holder_name()
    taken = _take(database(), sorted(ids), holder)
    segments = list(Segment.objects.filter(pk__in=taken).order_by("pk"))
    try:
        for segment in segments:
            if segment.building:
                _clean(segment, holder)
        yield Lease(holder, tuple(segments))
    finally:
        _give_back(database(), taken, holder)


@contextmanager
def leased_one(segment_id: int) -> Iterator[Lease]:
    """Hold one segment, waiting for its holder up to 5 s. Raises Conflict when it stays held or is gone."""
    give_up = time.monotonic() + _WAIT_SECONDS
    while True:
        with leased([segment_id]) as lease:
            if lease.segments:
                yield lease
                return
        if time.monotonic() > give_up:
            raise Conflict("This segment is being computed. Try again in a few seconds.", code="segment_busy")
        time.sleep(_NAP_SECONDS)


def hold(db: Database, lease: Lease, ids: Sequence[int]) -> dict[int, int]:
    """Lock the rows of the segments `ids` until the transaction ends; returns their sizes. Raises LeaseLost."""
    rows = db.rows_in(
        "update segments_segment set lease_until = ? where lease_holder = ? and id {in} returning id, size",
        ids,
        "bigint",
        (now_us() + LEASE, lease.holder),
    )
    if len(rows) != len(ids):
        raise LeaseLost
    return dict(rows)


def prolong(lease: Lease) -> None:
    """Hold the segments, those that are still held, for another `LEASE`: between the steps of long work."""
    database().execute_in(
        "update segments_segment set lease_until = ? where lease_holder = ? and id {in}",
        lease.ids,
        "bigint",
        (now_us() + LEASE, lease.holder),
    )


def _take(db: Database, ids: Sequence[int], holder: str) -> list[int]:
    now = now_us()
    rows = db.rows_in(
        "update segments_segment set lease_holder = ?, lease_until = ? where lease_until < ? and id {in} returning id",
        ids,
        "bigint",
        (holder, now + LEASE, now),
    )
    taken = [row[0] for row in rows]
    for dead in _of_the_dead(db, [segment_id for segment_id in ids if segment_id not in taken]):
        taken += [row[0] for row in db.rows(_TAKE_OVER, (holder, now + LEASE, *dead))]
    return taken


_TAKE_OVER = """
    update segments_segment set lease_holder = ?, lease_until = ? where id = ? and lease_holder = ? returning id"""


def _of_the_dead(db: Database, ids: Sequence[int]) -> list[tuple[int, str]]:
    """Segments (with their holder) that a process of this machine held which is gone: they need not run out."""
    rows = db.rows_in("select id, lease_holder from segments_segment where id {in}", ids, "bigint")
    return [(segment_id, holder) for segment_id, holder in rows if is_gone(holder)]


def _give_back(db: Database, ids: Sequence[int], holder: str) -> None:
    db.execute_in(
        "update segments_segment set lease_holder = '', lease_until = 0 where lease_holder = ? and id {in}",
        ids,
        "bigint",
        (holder,),
    )


def _clean(segment: Segment, holder: str) -> None:
    """Undo what a process that died left of a generation that never became one."""
    key = (segment.pk, segment.generation)
    with writing() as db:
        hold(db, Lease(holder, (segment,)), [segment.pk])
        db.execute("delete from segments_membership where segment_id = ? and from_gen > ?", key)
        db.execute(
            "update segments_membership set to_gen = null, left_at = null where segment_id = ? and to_gen > ?", key
        )
        db.execute("delete from segments_membershipchange where segment_id = ? and generation > ?", key)
        db.execute("update segments_segment set building = false where id = ?", (segment.pk,))
    segment.building = False
