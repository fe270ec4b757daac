"""The processing fence: one writer of profiles, identifiers, traits and merges at a time, whoever it is.

The lease row (`ProcessingLease`) has two parts. `holder`/`expires_at` only spare several workers the same work. `fence`
is what makes every write safe: each writing transaction raises it, and one that read before another wrote finds a
different number and starts again. So a micro-batch is planned without any lock, and a REST write never waits for it.
"""

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection, transaction

from cdp.core.bulk import Database
from cdp.core.clock import SECOND, now_us

LEASE = 10 * SECOND
HOLDER = f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class FenceLost(Exception):
    """Somebody wrote after this plan was read: nothing was written, plan again."""


def database() -> Database:
    """Set-based SQL on Django's connection, in its transaction if one is open."""
    connection.ensure_connection()
    return Database(connection.connection, postgres=connection.vendor == "postgresql")


def fence(db: Database) -> int:
    """The number to plan under. Makes sure that this process knows the keys the stored rows are indexed with."""
    number, key_version = db.rows("select fence, key_version from pipeline_processinglease where id = 1")[0]
    if key_version > settings.KEYRING.current:
        settings.KEYRING.refresh()
    return int(number)


def take_lease(db: Database, *, holder: str = HOLDER) -> bool:
    """Whether this process may plan the next micro-batch; false while another one lives."""
    now = now_us()
    sql = (
        "update pipeline_processinglease set holder = ?, expires_at = ?"
        " where id = 1 and (holder = ? or holder = '' or expires_at < ?)"
    )
    return db.execute(sql, (holder, now + LEASE, holder, now)) == 1


def release_lease(db: Database, *, holder: str = HOLDER) -> None:
    """Let another process go on at once."""
    db.execute("update pipeline_processinglease set holder = '', expires_at = 0 where id = 1 and holder = ?", (holder,))


def pass_fence(db: Database, planned_under: int, *, holder: str = HOLDER) -> None:
    """Lock the fence until the transaction ends and raise it. Raises FenceLost when it is not `planned_under`."""
    sql = "update pipeline_processinglease set fence = fence + 1, holder = ?, expires_at = ? where id = 1 and fence = ?"
    if db.execute(sql, (holder, now_us() + LEASE, planned_under)) != 1:
        raise FenceLost


@contextmanager
def exclusive() -> Iterator[Database]:
    """A transaction that holds the fence from its start: for REST writes, erasure, and a batch that lost its fence.

    On PostgreSQL it locks the lease row; on SQLite the transaction is IMMEDIATE, so it holds the write lock anyway.
    """
    with transaction.atomic():
        db = database()
        db.execute("update pipeline_processinglease set fence = fence + 1 where id = 1")
        fence(db)
        yield db
