"""Reading the operational store in one state of it, without a lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction

from cdp.core.bulk import Database


def database() -> Database:
    """Set-based SQL on Django's connection."""
    connection.ensure_connection()
    return Database(connection.connection, postgres=connection.vendor == "postgresql")


@contextmanager
def one_moment() -> Iterator[Database]:
    """Everything that is read within is the same state of the store: for reads only.

    PostgreSQL: a read-only transaction at REPEATABLE READ. SQLite: a deferred one (Django's own are IMMEDIATE and would
    keep writers away). Within a transaction that is open already it is that one's view.
    """
    if connection.in_atomic_block:
        yield database()
    elif connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("set transaction isolation level repeatable read, read only")
            yield database()
    else:
        db = database()
        db.connection.execute("begin deferred")
        try:
            yield db
        finally:
            db.connection.execute("rollback")


@dataclass(frozen=True, slots=True)
class Ends:
    """Where the operational store ends: its fence, under a greater number than which no profile was ever written, and

    the greatest id that an event ever had.
    """

    fence: int
    event: int


def ends(db: Database) -> Ends:
    """Both ends: one query. Neither goes back when rows are deleted, only when an older backup is restored."""
    last = (
        "(select last_value from events_event_id_seq)"
        if db.postgres
        else "(select coalesce(max(seq), 0) from sqlite_sequence where name = 'events_event')"
    )
    [(fence, event)] = db.rows(f"select fence, {last} from pipeline_processinglease where id = 1")
    return Ends(fence, event)
