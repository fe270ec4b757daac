"""DuckDB in the process: in memory, over the files of the lake and nothing else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdp.lake.engine import FilesGone, QueryTooLong, as_schema
from cdp.lake.moment import Files

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

_BATCH = 100_000


@dataclass(frozen=True, slots=True)
class DuckDB:
    """The engine. `memory_mb` bounds what a query holds; what is more goes to the folder `scratch` for a while."""

    threads: int = 2
    memory_mb: int = 1024
    scratch: str = ""

    def session(self) -> "DuckSession":
        """A connection of its own."""
        return DuckSession(self)


class DuckSession:
    """One connection. No extensions, no files but the ones that it is given before the first query."""

    texts_last = True

    def __init__(self, engine: DuckDB) -> None:
        import ibis

        if engine.scratch:
            Path(engine.scratch).mkdir(parents=True, exist_ok=True)
        self._backend: Any = ibis.duckdb.connect(
            threads=engine.threads,
            memory_limit=f"{engine.memory_mb}MB",
            temp_directory=engine.scratch,
            autoinstall_known_extensions=False,
            autoload_known_extensions=False,
            preserve_insertion_order=False,
        )
        self._backend.raw_sql("set TimeZone = 'UTC'")
        self._allowed = [engine.scratch] if engine.scratch else []
        self._locked = False

    def files(self, name: str, files: Files) -> "ir.Table":
        """Parquet files of this machine by path, others through PyArrow."""
        if "://" in files.places[0]:
            return self.rows(name, files.dataset())
        self._lock(str(Path(files.places[0]).parents[2]))
        with _translated():
            table = self._backend.read_parquet(list(files.places), table_name=name, hive_partitioning=False)
        return table.select(*files.schema.names)

    def rows(self, name: str, rows: Any) -> "ir.Table":
        """Rows that Arrow holds; nothing is copied."""
        self._backend.con.register(name, rows)
        return self._backend.table(name)

    def view(self, name: str, expression: "ir.Table") -> "ir.Table":
        """A view."""
        return self._backend.create_view(name, expression, overwrite=True)

    def schema(self, expression: "ir.Table") -> "pa.Schema":
        """The columns of the answer."""
        return expression.schema().to_pyarrow()

    def text(self, expression: "ir.Table") -> str:
        """SQL. Raises ValueError for an expression that carries rows: they would be another session's."""
        from ibis.expr.operations import InMemoryTable

        if expression.op().find(InMemoryTable):
            raise ValueError("rows that an expression carries have no name that lasts: bring them")
        text: str = self._backend.compile(expression)
        return text

    def run(self, expression: "ir.Table", *, seconds: float) -> "Iterator[pa.RecordBatch]":
        """The rows, as DuckDB makes them."""
        self._backend._run_pre_execute_hooks(expression)  # rows that an expression carries itself
        return self.run_text(self._backend.compile(expression), self.schema(expression), seconds=seconds)

    def run_text(self, text: str, schema: "pa.Schema", *, seconds: float) -> "Iterator[pa.RecordBatch]":
        """The rows of an SQL text, as DuckDB makes them."""
        self._lock()
        connection = self._backend.con
        too_long = threading.Event()

        def stop() -> None:
            too_long.set()
            connection.interrupt()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            with _translated():
                # Ibis 12 asks a cursor of DuckDB 2 for a method that is gone; the relation still has one.
                reader = connection.sql(text).to_arrow_reader(_BATCH)
                for batch in reader:
                    yield as_schema(batch, schema)
        except _interrupted() as error:
            if not too_long.is_set():
                raise
            raise QueryTooLong(f"The query took longer than {seconds:g} seconds.") from error
        finally:
            timer.cancel()

    def close(self) -> None:
        """Close the connection."""
        self._backend.disconnect()

    def _lock(self, *folders: str) -> None:
        """Let it read below the lake's folder, and nothing else from then on, whatever a query says."""
        if self._locked:
            return
        self._locked = True
        connection = self._backend.con
        connection.execute("set allowed_directories = ?", [[*self._allowed, *folders]])
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")


@contextmanager
def _translated() -> Iterator[None]:
    import duckdb

    try:
        yield
    except (duckdb.IOException, FileNotFoundError) as error:
        raise FilesGone(str(error)) from error


def _interrupted() -> type[Exception]:
    import duckdb

    return duckdb.InterruptException
