"""Processing the inbox: one micro-batch at a time, under the lease and the fence, until nothing waits."""

import gc
import logging
from collections.abc import Sequence

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from cdp.core.bulk import Database
from cdp.core.clock import now_us
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
from cdp.pipeline.plan import Failure, Plan, Waiting, make_plan

log = logging.getLogger(__name__)


def process_batch(limit: int | None = None, *, holder: str = HOLDER) -> int:
    """Process up to `limit` waiting messages (default MICRO_BATCH); returns how many left the inbox.

    0 means that nothing waits, or that another living worker holds the lease. A message that makes the batch fail is
    found by halving and quarantined with the reason; the others go through.
    """
    db = database()
    base = ground(db)  # before the rows are read: a row that another worker has done would not pass it
    waiting = _take(db, limit or settings.MICRO_BATCH)
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


def _take(db: Database, limit: int) -> list[Waiting]:
    rows = db.rows(
        "select id, digest, source_id, received, body from pipeline_inboxmessage order by id limit ?", (limit,)
    )
    return [Waiting(row[0], bytes(row[1]), row[2], row[3], bytes(row[4])) for row in rows]


def _plan_and_write(db: Database, waiting: Sequence[Waiting], base: Ground, *, holder: str) -> None:
    """Plan without a lock, write if nobody else has written meanwhile. Raises FenceLost."""
    with connection.wrap_database_errors:
        plan = make_plan(db, waiting, base, now=now_us())
        with transaction.atomic():
            pass_fence(db, base.fence, holder=holder)
            plan.write(db)


def _process(waiting: Sequence[Waiting]) -> None:
    """Plan and write with the fence held from the start, so that a busy API cannot starve the worker.

    Rows that another worker has done are left out. Where the batch fails, its halves are tried.
    """
    try:
        with exclusive() as db:
            still = {row[0] for row in db.rows_in(_STILL, [row.id for row in waiting], "bigint")}
            left = [row for row in waiting if row.id in still]
            if left:
                make_plan(db, left, ground(db), now=now_us()).write(db)
    except (OperationalError, InterfaceError):
        raise
    except _POISON as error:
        if len(waiting) == 1:
            _give_up(waiting[0], error)
            return
        middle = len(waiting) // 2
        _process(waiting[:middle])
        _process(waiting[middle:])


_STILL = "select id from pipeline_inboxmessage where id {in}"
_POISON = (DatabaseError, ValueError, TypeError, KeyError, RecursionError, OverflowError)


def _give_up(row: Waiting, error: Exception) -> None:
    """Quarantine one message. Only the error's type is logged: its text may hold what the message said."""
    log.error("A message could not be processed: %s (%s)", type(error).__name__, row.digest.hex())
    failure = Failure(row, "processing_failed", f"Processing it raised {type(error).__name__}.")
    plan = Plan(now=now_us(), waiting=[row], failures=[failure])
    plan.outcomes[row.source_id, "failed:processing_failed"] += 1
    with exclusive() as db:
        plan.prepare(db)
        plan.write(db)
