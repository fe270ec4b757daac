"""Set-based SQL for PostgreSQL and SQLite: one statement for many rows, with values always as parameters.

PostgreSQL takes whole columns as arrays (`unnest`, binary), SQLite takes rows (`executemany`, one prepared statement):
17–44 µs a row either way against 350–450 µs for the ORM's bulk_update. Table and column names come from the code, never
from input. `Database.queries` counts the statements, so that a test can hold a micro-batch to a constant number.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Row = Sequence[Any]


@dataclass(frozen=True)
class Table:
    """A table by name, its columns in the order in which rows are given (name → PostgreSQL type), and its key."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...] = ("id",)
    fixed: tuple[str, ...] = ()
    """Columns that an upsert leaves as they are where the row is there."""

    @cached_property
    def _names(self) -> str:
        return ", ".join(self.columns)

    @cached_property
    def _arrays(self) -> str:
        return ", ".join(f"%b::{kind}[]" for kind in self.columns.values())

    @cached_property
    def _marks(self) -> str:
        return ", ".join("?" * len(self.columns))

    def __hash__(self) -> int:
        return hash(self.name)

    def insert(self, postgres: bool, conflict: str = "") -> str:
        """INSERT of many rows; `conflict` is appended."""
        if postgres:
            return f"insert into {self.name} ({self._names}) select * from unnest({self._arrays}) {conflict}"
        return f"insert into {self.name} ({self._names}) values ({self._marks}) {conflict}"

    def upsert(self, postgres: bool) -> str:
        """INSERT that overwrites every column but the key and the fixed ones where the key is there."""
        kept = {*self.key, *self.fixed}
        values = ", ".join(f"{name} = excluded.{name}" for name in self.columns if name not in kept)
        return self.insert(postgres, f"on conflict ({', '.join(self.key)}) do update set {values}")

    def update(self, postgres: bool) -> str:
        """UPDATE by the key columns, which must come last in `columns`."""
        rest = [name for name in self.columns if name not in self.key]
        if postgres:
            sets = ", ".join(f"{name} = k.{name}" for name in rest)
            where = " and ".join(f"t.{name} = k.{name}" for name in self.key)
            return f"update {self.name} t set {sets} from unnest({self._arrays}) k({self._names}) where {where}"
        sets = ", ".join(f"{name} = ?" for name in rest)
        where = " and ".join(f"{name} = ?" for name in self.key)
        return f"update {self.name} set {sets} where {where}"


class Database:
    """Statements on the driver's own connection (psycopg or sqlite3), inside whatever transaction is open there.

    SQL is written with `?` for a value and `{in}` for a list; `rows_in` fills the latter in.
    """

    def __init__(self, connection: Any, *, postgres: bool) -> None:
        self.connection = connection
        self.postgres = postgres
        self.queries = 0
        self._last_ids: dict[str, int] = {}

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT (or of RETURNING)."""
        return list(self._execute(sql, params).fetchall())

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement; returns the number of rows it touched."""
        return int(self._execute(sql, params).rowcount)

    def rows_in(self, sql: str, values: Iterable[Any], kind: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a SELECT whose one `{in}` holds `values`; an empty list answers without asking.

        `kind` is the PostgreSQL type of a value. `params` are the other values, all before `{in}`.
        """
        wanted = list(values)
        if not wanted:
            return []
        clause, bound = self._list(wanted, kind)
        return self.rows(sql.replace("{in}", clause), [*params, *bound])

    def rows_in_each(self, parts: Sequence[tuple[str, Iterable[Any], str, Sequence[Any]]]) -> list[tuple[Any, ...]]:
        """Rows of several `rows_in` of the same shape, each (sql, values, kind, params), in one UNION ALL."""
        texts: list[str] = []
        bound: list[Any] = []
        for sql, values, kind, params in parts:
            wanted = list(values)
            if wanted:
                clause, given = self._list(wanted, kind)
                texts.append(sql.replace("{in}", clause))
                bound += [*params, *given]
        return self.rows(" union all ".join(texts), bound) if texts else []

    def execute_in(self, sql: str, values: Iterable[Any], kind: str, params: Sequence[Any] = ()) -> int:
        """Like `rows_in` for a statement without rows; returns the number of rows touched."""
        wanted = list(values)
        if not wanted:
            return 0
        clause, bound = self._list(wanted, kind)
        return self.execute(sql.replace("{in}", clause), [*params, *bound])

    def insert(self, table: Table, rows: Sequence[Row], conflict: str = "") -> None:
        """Insert all `rows`; a key that is there is an error, unless `conflict` (an ON CONFLICT clause) says more.

        Without `conflict` PostgreSQL gets them by COPY, whose rows are put together in C: a third faster than arrays.
        """
        if conflict or not self.postgres or not rows:
            self._many(table.insert(self.postgres, conflict), rows)
        else:
            self._copy(table, rows)

    def _copy(self, table: Table, rows: Sequence[Row]) -> None:
        self.queries += 1
        with self._cursor().copy(f"copy {table.name} ({', '.join(table.columns)}) from stdin (format binary)") as copy:
            copy.set_types(list(table.columns.values()))
            for row in rows:
                copy.write_row(row)

    def insert_missing(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert those of `rows` that break no unique key."""
        self._many(table.insert(self.postgres, "on conflict do nothing"), rows)

    def upsert(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert `rows`, overwriting where the key is there."""
        self._many(table.upsert(self.postgres), rows)

    def update(self, table: Table, rows: Sequence[Row]) -> None:
        """Update by key; each row gives the new values first and the key last."""
        self._many(table.update(self.postgres), rows)

    def insert_and_update(self, new: Table, rows: Sequence[Row], changed: Table, changes: Sequence[Row]) -> None:
        """`insert` rows and `update` others of one table, which PostgreSQL does in one statement."""
        if self.postgres and rows and changes:
            columns = [list(column) for each in (rows, changes) for column in zip(*each, strict=True)]
            self._run_many(f"with added as ({new.insert(True)}) {changed.update(True)}", columns)
        else:
            self.insert(new, rows)
            self.update(changed, changes)

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run one statement for each of `rows`: SQLite only, where it is one prepared statement in the process."""
        self._run_many(sql, rows)

    def new_ids(self, table: str, count: int) -> Iterator[int]:
        """`count` primary keys that no row of `table` has.

        On SQLite this is safe only under the processing fence, and for one micro-batch: the numbers that every table
        has reached are read once.
        """
        if not count:
            return iter(())
        if self.postgres:
            rows = self.rows(
                f"select nextval(pg_get_serial_sequence('{table}', 'id')) from generate_series(1, ?::int)", (count,)
            )
            return iter([row[0] for row in rows])
        if not self._last_ids:
            self._last_ids = dict(self.rows("select name, seq from sqlite_sequence"))
        first = self._last_ids.get(table, 0) + 1
        self._last_ids[table] = first + count - 1
        return iter(range(first, first + count))

    def _many(self, sql: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        if self.postgres:
            self._run_many(sql, [list(column) for column in zip(*rows, strict=True)])
        else:
            has_uuid = any(isinstance(value, uuid.UUID) for value in rows[0])
            self._run_many(sql, [_hexed(row) for row in rows] if has_uuid else rows)

    def _run_many(self, sql: str, shaped: Sequence[Row]) -> None:
        """`shaped` are columns for PostgreSQL and rows for SQLite."""
        self.queries += 1
        if self.postgres:
            self._cursor().execute(sql, shaped, prepare=True)
        else:
            self.connection.executemany(sql, shaped)

    def _execute(self, sql: str, params: Sequence[Any]) -> Any:
        self.queries += 1
        if self.postgres:
            return self._cursor().execute(sql.replace("?", "%b"), params, prepare=True)
        return self.connection.execute(sql, _hexed(params))

    def _cursor(self) -> Any:
        import psycopg  # the driver of the other store need not be installed

        return psycopg.Cursor(self.connection)

    def _list(self, values: list[Any], kind: str) -> tuple[str, list[Any]]:
        if self.postgres:
            return f"= any(?::{kind}[])", [values]
        if isinstance(values[0], int):
            return "in (select value from json_each(?))", [json.dumps(values)]
        return f"in ({','.join('?' * len(values))})", values


class Deferred(Database):
    """Reads at once, keeps every write for `run`: what the rows cost is paid before the transaction takes its lock."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.connection, postgres=database.postgres)
        self._database = database
        self._steps: list[Callable[[Database], object]] = []

    def run(self, database: Database) -> None:
        """Do the writes in their order, in the transaction that is open on `database`."""
        for step in self._steps:
            step(database)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT, now."""
        return self._database.rows(sql, params)

    def new_ids(self, table: str, count: int) -> Iterator[int]:
        """Primary keys, now: none that were given out before."""
        return self._database.new_ids(table, count)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Keep a statement for later; 0, because nothing was touched yet."""
        self._steps.append(lambda database: database.execute(sql, params))
        return 0

    def _copy(self, table: Table, rows: Sequence[Row]) -> None:
        self._steps.append(lambda database: database._copy(table, rows))

    def _run_many(self, sql: str, shaped: Sequence[Row]) -> None:
        self._steps.append(lambda database: database._run_many(sql, shaped))


def _hexed(row: Row) -> list[Any]:
    """SQLite has no UUID type: Django keeps one as 32 hex digits."""
    return [value.hex if isinstance(value, uuid.UUID) else value for value in row]
