"""Processing the inbox: one micro-batch at a time, under the lease and the fence, until nothing waits."""

import gc
import logging
import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from cdp.core.bulk import Database
from cdp.core.clock import now_us
from cdp.pipeline.batch import Batch, Failure, Waiting
from cdp.pipeline.lease import (
    HOLDER,
    FenceLost,
    Ground,
    database,
    exclusive,
    ground,
    pass_fence,
    release_lease,
    take_lease,
)
from cdp.pipeline.plan import make_plan, prepare, write_plan
from cdp.pipeline.repeats import drop_repeats
from cdp.pipeline.spool import collect_spool

log = logging.getLogger(__name__)
_SPOOL_SECONDS = 1.0
_SPOOLED = 2_000
_BESIDE_DOOR = 250
_looked_at = 0.0
_last_seen = 0


def process_batch(limit: int | None = None, *, holder: str = HOLDER) -> int:
    """Process up to `limit` waiting messages (default MICRO_BATCH); returns how many left the inbox.

    0 means that nothing waits, or that another living worker holds the lease. A message that makes the batch fail is
    found by halving and quarantined with the reason; the others go through.
    """
    db = database()
    base = ground(db)  # before the rows are read: a row that another worker has done would not pass it
    most = limit or _most(db)
    waiting = _take(db, most)
    if _spool_is_due(waiting) and collect_spool(_SPOOLED) and not waiting:
        waiting = _take(db, most)
    if not waiting or not take_lease(db, holder=holder):
        return 0
    collecting = gc.isenabled()
    gc.disable()  # a batch makes many objects and no cycles: looking for them costs an eighth of the time
    try:
        _plan_and_write(db, waiting, base, holder=holder)
    except (OperationalError, InterfaceError):
        raise
    except (FenceLost, *_POISON):
        _process(waiting)
    finally:
        if collecting:
            gc.enable()
    return len(waiting)


def process_inbox(*, holder: str = HOLDER) -> int:
    """Process until nothing waits or another worker takes over; returns how many messages left the inbox."""
    done = 0
    while taken := process_batch(holder=holder):
        done += taken
    if done:
        release_lease(database(), holder=holder)
    return done


def _most(db: Database) -> int:
    """How many messages to take: fewer while the door writes beside it, so that it never waits for long.

    On SQLite the door has a file of its own. Measured on PostgreSQL, p99 at the door in multiples of the quiet one: 2.5
    with micro-batches of 250, 3.3 with 500, 3.7 with 2000.
    """
    global _last_seen
    if not db.postgres:
        return settings.MICRO_BATCH
    last = db.rows("select coalesce(max(id), 0) from pipeline_inboxmessage")[0][0]
    in_use, _last_seen = last > _last_seen, max(last, _last_seen)
    return min(settings.MICRO_BATCH, _BESIDE_DOOR) if in_use else settings.MICRO_BATCH


def _spool_is_due(waiting: Sequence[Waiting]) -> bool:
    """Whether to look into the door's file: when nothing else waits, and else once a second, so that nobody is late."""
    global _looked_at  # noqa: PLW0603 - of the process
    now = time.monotonic()
    if waiting and now < _looked_at + _SPOOL_SECONDS:
        return False
    _looked_at = now
    return True


def _take(db: Database, limit: int) -> list[Waiting]:
    return [_waiting(row) for row in db.rows(f"{_WAITING} order by id limit ?", (limit,))]


def _waiting(row: Sequence[Any]) -> Waiting:
    return Waiting(row[0], bytes(row[1]), row[2], row[3], bytes(row[4]), bool(row[5]), row[6] is not None)


def _plan_and_write(db: Database, waiting: Sequence[Waiting], base: Ground, *, holder: str) -> None:
    """Plan without a lock, write if nobody else has written meanwhile. Raises FenceLost."""
    with connection.wrap_database_errors:
        plan = make_plan(db, waiting, base, fence=base.fence + 1, now=now_us())
        with transaction.atomic():
            pass_fence(db, base.fence, holder=holder)
            write_plan(plan, db)


def _process(waiting: Sequence[Waiting]) -> None:
    """Plan and write with the fence held from the start, so that a busy API cannot starve the worker.

    Rows that another worker has done are left out. Where the batch fails, its halves are tried.
    """
    try:
        with exclusive() as db:
            left = [_waiting(row) for row in db.rows_in(_STILL, [row.id for row in waiting], "bigint")]
            if left:
                base = ground(db)
                write_plan(make_plan(db, left, base, fence=base.fence, now=now_us()), db)
    except (OperationalError, InterfaceError):
        raise
    except _POISON as error:
        if len(waiting) == 1:
            _give_up(waiting[0], error)
            return
        middle = len(waiting) // 2
        _process(waiting[:middle])
        _process(waiting[middle:])


# A subquery and no join: whatever the statistics say, it is one look into the index of the digests for each row.
_WAITING = """
    select id, digest, source_id, received, body, claimed,
        case when claimed then null else (select day from pipeline_seenmessage s where s.digest = m.digest) end
    from pipeline_inboxmessage m"""
_STILL = f"select * from ({_WAITING}) w where id {{in}} order by id"
_POISON = (DatabaseError, ValueError, TypeError, KeyError, RecursionError, OverflowError)


def _give_up(row: Waiting, error: Exception) -> None:
    """Quarantine one message. Only the error's type is logged: its text may hold what the message said."""
    log.error("A message could not be processed: %s (%s)", type(error).__name__, row.digest.hex())
    reason = f"Processing it raised {type(error).__name__}."
    with exclusive() as db:
        plan = Batch(now=now_us(), waiting=[_waiting(one) for one in db.rows_in(_STILL, [row.id], "bigint")])
        drop_repeats(plan)
        plan.failures = [Failure(message, "processing_failed", reason) for message in plan.messages]
        for message in plan.messages:
            plan.note(message.source_id, "failed:processing_failed")
        prepare(plan, db)
        write_plan(plan, db)
