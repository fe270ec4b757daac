"""Running queries on history: the same Ibis expressions on DuckDB in this process or on a Spark cluster."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from cdp.core.errors import DomainError
from cdp.lake.logical import Views, logical_tables
from cdp.lake.marks import Marks, Now
from cdp.lake.moment import Moment
from cdp.lake.plans import Plan, Plans
from cdp.lake.tables import Tables

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

SECONDS = 600
ROWS = 50_000_000
_plans = Plans()


class QueryTooLong(DomainError):
    """A query took longer than it may, or answered with more rows."""

    code = "query_too_long"
    status = 503


class FilesGone(Exception):
    """A file of the lake was deleted while a query read it: look at the lake anew."""


class Session(Views, Protocol):
    """An engine at work on one moment."""

    def run(self, expression: "ir.Table", *, seconds: float) -> "Iterator[pa.RecordBatch]":
        """The rows. Raises FilesGone, QueryTooLong."""

    def schema(self, expression: "ir.Table") -> "pa.Schema":
        """The columns of the answer."""

    texts_last: bool
    """Whether a query's text means the same in a later session over tables of the same names and columns."""

    def text(self, expression: "ir.Table") -> str:
        """The query's text for `run_text`. Raises ValueError when it carries rows of its own."""

    def run_text(self, text: str, schema: "pa.Schema", *, seconds: float) -> "Iterator[pa.RecordBatch]":
        """The rows of a text. Raises FilesGone, QueryTooLong."""

    def close(self) -> None:
        """Forget its tables."""


class Engine(Protocol):
    """Where queries run."""

    def session(self) -> Session:
        """A new session; it is closed by who asked for it."""


class Snapshot(AbstractContextManager["Snapshot"]):
    """One moment of history to ask about. `renew` gives a later moment for when files went away meanwhile.

    `seconds` and `rows` bound every query.
    """

    def __init__(
        self, engine: Engine, renew: Callable[[], Moment], *, seconds: float = SECONDS, rows: int = ROWS
    ) -> None:
        self._engine = engine
        self._renew = renew
        self._seconds = seconds
        self._rows = rows
        self._session: Session | None = None
        self._tables: Tables | None = None

    def __enter__(self) -> Self:
        self._session = self._engine.session()
        try:
            self._bind()
        except FilesGone:
            self._bind()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.close()
        self._session = self._tables = None

    @property
    def tables(self) -> Tables:
        """What expressions are written against."""
        assert self._tables is not None, "a snapshot is used as a context manager"
        return self._tables

    def bring(self, name: str, rows: "pa.Table") -> "ir.Table":
        """Rows of the caller's as a table for expressions of this snapshot: a list of people, for instance."""
        return self._open().rows(f"brought_{name}", rows)

    def run(self, expression: "ir.Table") -> "pa.Table":
        """The whole answer. When a file went away it is asked once again of a new moment. Raises QueryTooLong."""
        schema = self._open().schema(expression)
        return self._whole(lambda: (self._open().run(expression, seconds=self._seconds), schema))

    def run_batches(self, expression: "ir.Table") -> "Iterator[pa.RecordBatch]":
        """The answer bit by bit. Raises QueryTooLong; FilesGone when files went away after the first batch."""
        return self._bit_by_bit(lambda: self._open().run(expression, seconds=self._seconds))

    def ask(self, key: Hashable, build: "Callable[[Tables, Now], ir.Table]", *, now: int) -> "pa.Table":
        """The whole answer to what `build` makes of the tables and `now` (µs).

        What it makes must follow from `key`, the columns of the tables and `now` alone, which it must take for anything
        that `cdp.lake.marks` does: then its text is kept and asked again at later moments. Own rows come by `bring`
        before, under a name that `key` implies.
        """
        return self._whole(lambda: self._planned(key, build, now))

    def ask_batches(
        self, key: Hashable, build: "Callable[[Tables, Now], ir.Table]", *, now: int
    ) -> "Iterator[pa.RecordBatch]":
        """The same bit by bit, as `run_batches`."""
        return self._bit_by_bit(lambda: self._planned(key, build, now)[0])

    def _planned(
        self, key: Hashable, build: "Callable[[Tables, Now], ir.Table]", now: int
    ) -> "tuple[Iterator[pa.RecordBatch], pa.Schema]":
        session, tables = self._open(), self.tables
        if not session.texts_last:
            expression = build(tables, now)
            return session.run(expression, seconds=self._seconds), session.schema(expression)
        plan = _plans.plan((key, tables.columns()), lambda: _made(session, tables, build))
        return session.run_text(plan.text.at(now), plan.schema, seconds=self._seconds), plan.schema

    def _whole(self, answer: "Callable[[], tuple[Iterator[pa.RecordBatch], pa.Schema]]") -> "pa.Table":
        import pyarrow as pa

        try:
            batches, schema = answer()
            return pa.Table.from_batches(list(self._bounded(batches)), schema)
        except FilesGone:
            self._bind()
        batches, schema = answer()
        return pa.Table.from_batches(list(self._bounded(batches)), schema)

    def _bit_by_bit(self, answer: "Callable[[], Iterator[pa.RecordBatch]]") -> "Iterator[pa.RecordBatch]":
        begun = False
        try:
            for batch in self._bounded(answer()):
                begun = True
                yield batch
        except FilesGone:
            if begun:
                raise
            self._bind()
            yield from self._bounded(answer())

    def _bounded(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        left = self._rows
        for batch in batches:
            left -= batch.num_rows
            if left < 0:
                raise QueryTooLong(f"The answer has more than {self._rows} rows.", code="too_many_rows")
            yield batch

    def _bind(self) -> None:
        self._tables = logical_tables(self._open(), self._renew())

    def _open(self) -> Session:
        assert self._session is not None, "a snapshot is used as a context manager"
        return self._session


def _made(session: Session, tables: Tables, build: "Callable[[Tables, Now], ir.Table]") -> Plan:
    marks = Marks()
    expression = build(tables, marks)
    return Plan(marks.template(session.text(expression)), session.schema(expression))


def as_schema(batch: "pa.RecordBatch", schema: "pa.Schema") -> "pa.RecordBatch":
    """`batch` with the types that Ibis promises: a sum of whole numbers comes as a decimal from DuckDB."""
    return batch if batch.schema.equals(schema) else batch.cast(schema)
