"""The door's own connection to the store, outside Django: for the thread that commits what arrived.

Every commit is durable when it returns. A lock is waited for at most `WAIT` seconds.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from django.db import connections

from cdp.core.bulk import Database
from cdp.pipeline.spool import append_spooled, open_spool, pass_moved, spool_beside
from cdp.pipeline.writer import Kept, Refused, append, collect

WAIT = 5
_NAP = 0.0002
_LONGEST_NAP = 0.002
_BACKLOG = "select (select max(id) from pipeline_inboxmessage) - (select min(id) from pipeline_inboxmessage) + 1"
_NOT_FOR_LIBPQ = ("pool", "isolation_level", "server_side_binding", "assume_role", "service")


class OwnConnection(Protocol):
    """What the committing thread needs of a store."""

    errors: tuple[type[Exception], ...]
    """What the driver raises."""

    def write(self, rows: Sequence[Kept], refusals: Sequence[Refused]) -> None:
        """Write a group in one transaction; durable on return. Raises one of `errors`."""

    def backlog(self) -> int:
        """About how many messages wait, from both ends of the primary key: no count."""

    def is_lost(self) -> bool:
        """Whether the server has gone away, so that a new connection may help at once."""

    def close(self) -> None:
        """Let go of it; never raises."""


class SqliteConnection:
    """SQLite in WAL mode with synchronous=FULL: the door's own file (`spool.py`), and the main one to read."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: str | Path) -> None:
        # mode=ro: a database that is not there is an error and not a new, empty file.
        uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        self._main = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            self._main.execute("select 1 from sqlite_master").fetchone()
            self._connection = open_spool(spool_beside(path))
        except sqlite3.Error:
            self._main.close()
            raise
        try:
            self._when_free(lambda: pass_moved(self._connection, self._main))
        except sqlite3.Error:
            self.close()
            raise
        self._database = Database(self._connection, postgres=False)

    def write(self, rows: Sequence[Kept], refusals: Sequence[Refused]) -> None:
        """See OwnConnection. Without refusals it is one statement, which needs no BEGIN and no COMMIT beside it."""
        if not refusals:
            self._when_free(lambda: append_spooled(self._database, rows, ()))
            return
        self._when_free(lambda: self._connection.execute("begin immediate"))
        try:
            append_spooled(self._database, rows, refusals)
            self._connection.execute("commit")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise

    def _when_free(self, begin: Callable[[], object]) -> None:
        """Call what takes the write lock until it is free.

        SQLite's own wait sleeps up to 100 ms at a time, which would be felt at the door.
        """
        deadline = time.monotonic() + WAIT
        nap = _NAP
        while True:
            try:
                begin()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(nap)
            nap = min(nap * 1.5, _LONGEST_NAP)

    def backlog(self) -> int:
        """See OwnConnection: in both files."""
        return sum(one.execute(_BACKLOG).fetchone()[0] or 0 for one in (self._main, self._connection))

    def is_lost(self) -> bool:
        """See OwnConnection."""
        return False

    def close(self) -> None:
        """See OwnConnection."""
        self._main.close()
        self._connection.close()


class PostgresConnection:
    """PostgreSQL in autocommit: a group without refusals is one statement and one round trip."""

    def __init__(self, **params: Any) -> None:
        import psycopg  # not needed for SQLite

        self.errors: tuple[type[Exception], ...] = (psycopg.Error,)
        limits = f"-c lock_timeout={WAIT}s -c statement_timeout={2 * WAIT}s -c synchronous_commit=on"
        params["options"] = f"{params.get('options', '')} {limits}".strip()
        self._connection = psycopg.connect(**{"connect_timeout": WAIT, **params}, autocommit=True)
        self._database = Database(self._connection, postgres=True)

    def write(self, rows: Sequence[Kept], refusals: Sequence[Refused]) -> None:
        """See OwnConnection."""
        if not refusals:
            append(self._database, rows)
            return
        with self._connection.transaction():
            collect(self._database, rows, refusals)

    def backlog(self) -> int:
        """See OwnConnection."""
        return self._database.rows(_BACKLOG)[0][0] or 0

    def is_lost(self) -> bool:
        """See OwnConnection."""
        return self._connection.closed

    def close(self) -> None:
        """See OwnConnection."""
        self._connection.close()


def driver_errors() -> tuple[type[Exception], ...]:
    """What the configured store's driver raises, also while it connects."""
    if connections["default"].vendor == "sqlite":
        return SqliteConnection.errors
    import psycopg

    return (psycopg.Error,)


def own_connection() -> OwnConnection:
    """A connection of one's own to the store of the settings. Raises one of `driver_errors`."""
    wrapper = connections["default"]
    given: Mapping[str, Any] = wrapper.settings_dict
    if wrapper.vendor == "sqlite":
        return SqliteConnection(given["NAME"])
    options = {name: value for name, value in given["OPTIONS"].items() if name not in _NOT_FOR_LIBPQ}
    named = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return PostgresConnection(**options, **{key: given[name] for key, name in named.items() if given[name]})
