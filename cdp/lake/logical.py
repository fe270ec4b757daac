"""The logical tables over a moment of history, as views of an engine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from cdp.lake.moment import Files, Moment
from cdp.lake.schema import MAPS, Typed
from cdp.lake.tables import Tables

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

_FACTS = ("person", "version", "gone", "fragments", "created")
_MAPS = (*MAPS.values(), "expires", "consents")


class Views(Protocol):
    """What an engine offers to build tables from; every name can be given again and then means the new thing."""

    def files(self, name: str, files: Files) -> "ir.Table":
        """Parquet files as a table."""

    def rows(self, name: str, rows: "pa.Table") -> "ir.Table":
        """Rows in memory as a table."""

    def view(self, name: str, expression: "ir.Table") -> "ir.Table":
        """A query by name."""


def logical_tables(views: Views, moment: Moment) -> Tables:
    """The tables of `cdp.lake.tables` over `moment`."""
    state = views.view("people_state", _state(views, moment))
    facts = ["person", "created", *(entry.column for entry in moment.typed.values()), *_MAPS]
    several = state.filter(state.fragments.length() > 1).select(
        "person", profile=lambda table: table.fragments.unnest()
    )
    return Tables(
        people=views.view("people", state.select(*facts)),
        events=views.view("events", _events(views, moment)),
        moved=views.view("moved", several.filter(several.profile != several.person).select("profile", "person")),
        members=views.rows("members", moment.members),
    )


def _events(views: Views, moment: Moment) -> "ir.Table":
    parts = [views.rows("events_tail", moment.events_tail)]
    if moment.events.places:
        stored = views.files("events_files", moment.events)
        if moment.deleted.num_rows:
            deleted = views.rows("deleted", moment.deleted)
            stored = stored.anti_join(deleted, "profile")
        parts = [stored, *(parts if moment.events_tail.num_rows else [])]
    return _together(parts)


def _state(views: Views, moment: Moment) -> "ir.Table":
    """Every living person as last described: the compacted state, but for those of whom there is a newer version."""
    fresh_parts = [_shaped(views.rows("people_tail", moment.people_tail), moment.typed)]
    if moment.fresh.places:
        stored = _shaped(views.files("people_fresh", moment.fresh), moment.typed)
        fresh_parts = [stored, *(fresh_parts if moment.people_tail.num_rows else [])]
    fresh = _together(fresh_parts)
    last = fresh.group_by("person").agg(version=fresh.version.max())
    newest = fresh.semi_join(last, ["person", "version"])
    newest = newest.filter(~newest.gone)
    if not moment.current.places:
        return newest
    current = _shaped(views.files("people_current", moment.current), moment.typed)
    if not moment.fresh.places and not moment.people_tail.num_rows:
        return current
    return current.anti_join(last, "person").union(newest)


def _shaped(table: "ir.Table", typed: Mapping[str, Typed]) -> "ir.Table":
    names = [*_FACTS, *(entry.column for entry in typed.values()), *_MAPS]
    return with_columns(table, typed).select(*names)


def with_columns(table: "ir.Table", typed: Mapping[str, Typed]) -> "ir.Table":
    """People with the columns that the catalogue wants: one that `table` does not have is read from its map."""
    import ibis

    missing: dict[str, Any] = {}
    for key, entry in typed.items():
        there = entry.column in table.columns and table[entry.column].type() == _ibis_type(entry.kind)
        if not there:
            missing[entry.column] = table[MAPS[entry.kind]].get(ibis.literal(key))
    return table.mutate(**missing) if missing else table


def _ibis_type(kind: str) -> Any:
    import ibis.expr.datatypes as dt

    return {"number": dt.float64, "text": dt.string, "flag": dt.boolean, "time": dt.int64, "list": dt.Array(dt.string)}[
        kind
    ]


def _together(parts: "list[ir.Table]") -> "ir.Table":
    first, *others = parts
    for other in others:
        first = first.union(other.select(*first.columns))
    return first
