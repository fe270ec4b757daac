"""Rewriting files: many small ones become a few that are sorted, and the current state of people stands by itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cdp.core.clock import from_us
from cdp.lake.delta import LakeTable
from cdp.lake.duck import DuckDB, DuckSession
from cdp.lake.logical import with_columns
from cdp.lake.schema import CURRENT, NEW, PAST, Typed, people_schema

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

MANY_FILES = 100
_FEW_FILES = 20
_SHARE = 4
_NO_LIMIT = 86_400.0


def months_due(table: LakeTable) -> list[str]:
    """The months of `events` to compact: where a quarter of the rows lies outside the largest file, or files abound.

    So a month is rewritten when it has grown by a third: each row a logarithmic number of times.
    """
    months: dict[str, list[int]] = {}
    for file in table.files():
        months.setdefault(file.part, []).append(file.rows)
    return sorted(
        month
        for month, rows in months.items()
        if len(rows) > _FEW_FILES or (len(rows) > 1 and (sum(rows) - max(rows)) * _SHARE >= sum(rows))
    )


def compact_month(table: LakeTable, month: str, engine: DuckDB) -> None:
    """Rewrite one month of `events`, sorted by profile and time. Raises Overtaken."""
    session = engine.session()
    try:
        rows = session.rows("rows", table.dataset([month]))
        _replace(table, [month], rows.order_by(list(table.kind.order)), session)
    finally:
        session.close()


def drop_after(table: LakeTable, last: int, engine: DuckDB) -> None:
    """Take the events with an id above `last` out, month by month, and go back to that position at the end.

    Killed anywhere it can be done again. Raises Overtaken.
    """
    session = engine.session()
    try:
        for month in sorted({file.part for file in table.files()}):
            rows = session.rows("rows", table.dataset([month]))
            kept = rows.filter(rows.id <= last).order_by(list(table.kind.order))
            _replace(table, [month], kept, session)
    finally:
        session.close()
    table.go_back(last)


def keep_rows(
    table: LakeTable,
    month: str,
    engine: DuckDB,
    kept: "Callable[[ir.Table, DuckSession], ir.Table]",
    *,
    before_commit: Callable[[], None],
) -> None:
    """Rewrite one month of `events` with those of its rows that `kept` leaves. Raises Overtaken.

    `before_commit` is called when all rows are written; what it raises is raised, and nothing has changed.
    """
    session = engine.session()
    try:
        rows = kept(session.rows("rows", table.dataset([month])), session)
        _replace(table, [month], rows.order_by(list(table.kind.order)), session, before_commit=before_commit)
    finally:
        session.close()


def people_due(table: LakeTable, typed: Mapping[str, Typed], *, many: int) -> bool:
    """Whether to compact `people`: many new files or versions, or other typed columns than the catalogue wants."""
    files = table.files()
    new = [file.rows for file in files if file.part == NEW]
    current = sum(file.rows for file in files if file.part == CURRENT)
    grown = sum(new) >= many and sum(new) * _SHARE >= current
    return len(new) >= MANY_FILES or grown or not _has_columns(table, typed)


def compact_people(table: LakeTable, typed: Mapping[str, Typed], engine: DuckDB, *, now: int) -> None:
    """Make the current state a part of its own, and put what it superseded into the part of the day. Raises Overtaken.

    When the typed columns change, the whole table is rewritten with the new ones.
    """
    today = f"{PAST}-{from_us(now):%Y-%m-%d}"
    same = _has_columns(table, typed)
    parts = [NEW, CURRENT, today] if same else None
    schema = people_schema(typed.values())
    session = engine.session()
    try:
        rows = with_columns(session.rows("rows", table.dataset(parts)), typed)
        moved = _parted(rows, today).select(*schema.names, "part").order_by("part", *table.kind.order)
        _replace(table, parts, moved, session, new_columns=not same)
    finally:
        session.close()


def _parted(rows: "ir.Table", today: str) -> "ir.Table":
    """The rows with the part that each belongs to: the last version of the living is current, the rest is past."""
    import ibis

    living = rows.filter(rows.part.isin([NEW, CURRENT]))
    last = living.group_by("person").agg(last=living.version.max())
    joined = rows.left_join(last, (rows.person == last.person) & (rows.version == last.last)).drop("person_right")
    superseded = joined["last"].isnull() | joined.gone
    moving = joined.part.isin([NEW, CURRENT])
    return joined.mutate(
        part=ibis.cases((~moving, joined.part), (superseded, ibis.literal(today)), else_=ibis.literal(CURRENT))
    ).drop("last")


def _has_columns(table: LakeTable, typed: Mapping[str, Typed]) -> bool:
    same: bool = table.schema.equals(people_schema(typed.values()))
    return same


def _replace(
    table: LakeTable,
    parts: Sequence[str] | None,
    rows: "ir.Table",
    session: DuckSession,
    *,
    new_columns: bool = False,
    before_commit: Callable[[], None] = lambda: None,
) -> None:
    import pyarrow as pa

    refused: list[Exception] = []

    def batches() -> "Iterator[pa.RecordBatch]":
        yield from session.run(rows, seconds=_NO_LIMIT)
        try:
            before_commit()
        except Exception as error:
            refused.append(error)  # the writer would make an error of its own of it
            raise

    schema = rows.schema().to_pyarrow()
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    try:
        table.replace(parts, reader, table.position, new_columns=new_columns)
    except Exception as error:
        if refused:
            raise refused[0] from error
        raise
