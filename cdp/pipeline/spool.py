"""Where the door leaves what arrived on SQLite: a database file of its own, beside the main one.

SQLite has one writer at a time, and a micro-batch holds the lock for as long as many requests may take. With a file of
its own the door waits for nobody: its p99 beside a busy worker went from five times the quiet one to less than three.
Whoever looks into the inbox calls `collect_spool` first, which moves everything over, each message once: how far it
came is written in the transaction that moves it, and only then are the rows deleted here.
PostgreSQL has no spool: its inbox takes any number of writers.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from cdp.core.bulk import Database, Table
from cdp.pipeline.writer import Kept, Refused, append, collect

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON")
_MAKE = """
    begin immediate;
    create table if not exists pipeline_inboxmessage (id integer primary key autoincrement, digest blob not null,
        source_id integer, received integer not null, body blob not null, claimed boolean not null);
    create table if not exists refusal (id integer primary key autoincrement, digest blob not null,
        source_id integer, received integer not null, stage text not null, status text not null, code text not null,
        reason text not null, body blob not null);
    create table if not exists spool (id integer primary key check (id = 1), name text not null);
    insert or ignore into spool values (1, lower(hex(randomblob(16))));
    commit;
"""
_REFUSAL = Table(
    "refusal",
    {
        "digest": "bytea",
        "source_id": "bigint",
        "received": "bigint",
        "stage": "text",
        "status": "text",
        "code": "text",
        "reason": "text",
        "body": "bytea",
    },
)
_CHUNK = 5_000
_MESSAGES = """
    select id, digest, source_id, received, body from pipeline_inboxmessage where id > ? order by id limit ?"""
_REFUSALS = """
    select id, digest, source_id, received, stage, status, code, reason, body from refusal
    where id > ? order by id limit ?"""
_FEW = 250
_FREE_PAGES = 1_000


def spool_path() -> Path | None:
    """The file, whether it is there or not; None where the store needs none."""
    return spool_beside(connection.settings_dict["NAME"]) if connection.vendor == "sqlite" else None


def spool_beside(database: str | Path) -> Path:
    """The file that belongs to a SQLite database: `cdp.sqlite3` has `cdp.door.sqlite3`."""
    path = Path(database)
    return path.with_name(f"{path.stem}.door{path.suffix}")


def open_spool(path: Path) -> sqlite3.Connection:
    """A connection for the door; the file is made when it is not there. It waits for no lock. Raises sqlite3.Error."""
    spool = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        spool.execute("pragma auto_vacuum=INCREMENTAL")
        for pragma in _PRAGMAS:
            spool.execute(f"pragma {pragma}")
        if not _name(spool):
            spool.execute("pragma busy_timeout=5000")
            spool.executescript(_MAKE)
            spool.execute("pragma busy_timeout=0")
    except sqlite3.Error:
        spool.close()
        raise
    return spool


def append_spooled(spool: Database, rows: Sequence[Kept], refusals: Sequence[Refused]) -> None:
    """Write a group of the door's: a statement for each of the two kinds, in the transaction of the caller."""
    append(spool, rows)
    spool.insert(_REFUSAL, refusals)


def pass_moved(spool: sqlite3.Connection, main: sqlite3.Connection) -> None:
    """Let no number come again that the main database has moved already: the file may be an older copy of itself."""
    for table, column in (("pipeline_inboxmessage", "message"), ("refusal", "refusal")):
        mark = main.execute(f"select {column} from pipeline_spoolmark where name = ?", (_name(spool),)).fetchone()
        spool.execute(
            "insert into sqlite_sequence select ?, 0 where ? not in (select name from sqlite_sequence)", [table] * 2
        )
        spool.execute("update sqlite_sequence set seq = max(seq, ?) where name = ?", (mark[0] if mark else 0, table))


def collect_spool(most: int | None = None) -> int:
    """Move what the door has left into the inbox and the quarantine; returns how many messages.

    All that is there, or about `most` of it: who has much to do takes a little at a time, for the door writes into the
    same file. In transactions of 5,000 rows at most, or in the one that is open; then they leave the spool when that
    one is committed. Raises what Django raises for a database.
    """
    path = spool_path()
    if path is None or not path.exists():
        return 0
    with connection.wrap_database_errors, closing(_reader(path)) as spool:
        name = _name(spool)
        moved = message = refusal = 0
        while name and (most is None or moved < most):
            messages = spool.execute(_MESSAGES, (message, min(_CHUNK, most or _CHUNK))).fetchall()
            refusals = spool.execute(_REFUSALS, (refusal, _CHUNK)).fetchall()
            if not messages and not refusals:
                break
            message, refusal = _last(messages, message), _last(refusals, refusal)
            with transaction.atomic():
                moved += _move(name, messages, refusals)
                transaction.on_commit(partial(_delete, path, message, refusal))
        return moved


def spooled() -> tuple[int, int | None]:
    """About how many messages wait in the spool, and when (µs) the first of them was received.

    Raises what Django raises for a database.
    """
    path = spool_path()
    if path is None or not path.exists():
        return 0, None
    with connection.wrap_database_errors, closing(_reader(path)) as spool:
        if not _name(spool):
            return 0, None
        first, last = spool.execute("select min(id), max(id) from pipeline_inboxmessage").fetchone()
        if first is None:
            return 0, None
        row = spool.execute("select received from pipeline_inboxmessage where id = ?", (first,)).fetchone()
        return last - first + 1, None if row is None else row[0]


def _name(spool: sqlite3.Connection) -> str:
    """What the file is called in the marks; empty while the door is making it this moment."""
    if not spool.execute("select 1 from sqlite_master where name = 'spool'").fetchone():
        return ""
    name: str = spool.execute("select name from spool").fetchone()[0]
    return name


def _reader(path: Path) -> sqlite3.Connection:
    """For those behind the door. What they delete need not be durable: the mark says that it was moved."""
    spool = sqlite3.connect(path, isolation_level=None, timeout=5)
    for pragma in ("synchronous=NORMAL", "secure_delete=ON"):
        spool.execute(f"pragma {pragma}")
    return spool


def _last(rows: Sequence[tuple[Any, ...]], before: int) -> int:
    number: int = rows[-1][0] if rows else before
    return number


def _move(name: str, messages: Sequence[tuple[Any, ...]], refusals: Sequence[tuple[Any, ...]]) -> int:
    """Write those that are not there yet, in the transaction that is open; returns how many messages."""
    db = Database(connection.connection, postgres=False)
    marks = db.rows("select message, refusal from pipeline_spoolmark where name = ?", (name,))
    message, refusal = marks[0] if marks else (0, 0)
    fresh = [Kept(*row[1:]) for row in messages if row[0] > message]
    refused = [Refused(*row[1:]) for row in refusals if row[0] > refusal]
    collect(db, fresh, refused)
    upto = name, max(message, _last(messages, 0)), max(refusal, _last(refusals, 0))
    db.execute(
        "insert into pipeline_spoolmark (name, message, refusal) values (?, ?, ?)"
        " on conflict (name) do update set message = excluded.message, refusal = excluded.refusal",
        upto,
    )
    return len(fresh)


def _delete(path: Path, message: int, refusal: int) -> None:
    """Rows that are in the main database now, a few at a time, for the door may want to write. What room they leave

    goes back to the disk, but for a little.
    """
    with closing(_reader(path)) as spool:
        for table, upto in (("pipeline_inboxmessage", message), ("refusal", refusal)):
            first = spool.execute(f"select min(id) from {table}").fetchone()[0]
            for last in range((upto if first is None else first) + _FEW - 1, upto + _FEW, _FEW):
                spool.execute(f"delete from {table} where id <= ?", (min(last, upto),))
        if spool.execute("pragma freelist_count").fetchone()[0] > _FREE_PAGES:
            spool.execute(f"pragma incremental_vacuum({_FREE_PAGES})").fetchall()
