"""Aggregates of events as Ibis: however many are asked for, one GROUP BY per event name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis

from cdp.lake.marks import Now, instant, moving
from cdp.lake.rules.compare import Values, all_of, in_columns, moment_edges, where_holds
from cdp.lake.rules.moments import period_edges
from cdp.lake.rules.tree import Aggregate, Match, Property, Source, Where, Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

PLACES = 6
"""Computed numbers are rounded to so many decimals: engines add floats up in different orders."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The first µs of a window, which is the last of these times, or the first after it, which is the first of them.

    `fixed` times; `back`: so long before now (-1: just after it); `period`: that edge of a calendar period of `zone`.
    """

    begin: bool
    fixed: int | None = None
    back: int | None = None
    period: str | None = None
    zone: str = ""

    def at(self, now: int) -> int:
        """Where it is at that moment (µs)."""
        times = [] if self.fixed is None else [self.fixed]
        if self.back is not None:
            times.append(now - self.back)
        if self.period is not None:
            times.append(period_edges(self.period, now, self.zone)[0 if self.begin else 1])
        return max(times) if self.begin else min(times)


@dataclass(frozen=True, slots=True)
class _Widest:
    """The edge that takes in several windows."""

    edges: frozenset[Edge]

    def at(self, now: int) -> int:
        times = [edge.at(now) for edge in self.edges]
        return min(times) if next(iter(self.edges)).begin else max(times)


Span = tuple[Edge | None, Edge]
"""The first µs of a window (None: no limit) and the first after it."""


class Clock:
    """The moment for which a rule is computed, and the installation's zone."""

    def __init__(self, now: Now, zone: str) -> None:
        self.given = now
        self.now = instant(now)
        self.zone = zone

    def span(self, window: Window) -> Span:
        """The times of events that a window takes."""
        lows, highs = [], []
        for test in window.tests:
            if isinstance(test.value, tuple):
                first, last = (moment_edges(one, self.zone) for one in test.value)
                lows.append(first[0])
                highs.append(last[1])
            elif test.operator == "before":
                highs.append(moment_edges(test.value, self.zone)[0])
            else:
                lows.append(moment_edges(test.value, self.zone)[1])
        low = Edge(True, max(lows, default=None), window.within, window.period, self.zone)
        high = Edge(False, min(highs, default=None), -1, window.period, self.zone)
        return (low if lows or window.within is not None or window.period is not None else None), high

    def inside(self, events: "ir.Table", lows: "set[Edge | None]", highs: set[Edge]) -> "ir.BooleanValue":
        """Whether an event lies between the first of some edges and the last of others."""
        high = moving(_Widest(frozenset(highs)), self.given)
        early = frozenset(low for low in lows if low is not None)
        if None in lows:
            return events.ts < high
        return (events.ts < high) & (events.ts >= moving(_Widest(early), self.given))

    def at(self, edge: Edge) -> "ir.IntegerScalar":
        """An edge in an expression."""
        return moving(edge, self.given)

    def where(self, events: "ir.Table", where: Where | Property) -> "ir.BooleanValue":
        """Whether an event's properties satisfy `where`."""

        def values(leaf: Property) -> Values:
            return in_columns(events, leaf.name, leaf.column)

        return where_holds(where, values, now=self.now)


def matching(events: "ir.Table", match: Match) -> "ir.BooleanValue":
    """Whether an event is of that name or type."""
    return events.type == match.type if match.type is not None else events.event == match.name


def with_person(events: "ir.Table", moved: "ir.Table") -> "ir.Table":
    """`events` with the `person` whose fragment each belongs to."""
    other = moved.select(moved_profile="profile", moved_person="person")
    joined = events.left_join(other, events.profile == other.moved_profile)
    return joined.mutate(person=ibis.coalesce(joined.moved_person, joined.profile)).drop(
        "moved_profile", "moved_person"
    )


def aggregated(
    aggregates: "dict[Aggregate, str]", events: "ir.Table", moved: "ir.Table", clock: Clock
) -> "list[tuple[frozenset[Aggregate], ir.Table]]":
    """Tables with `person` and a column per aggregate (`aggregates`: its name), one for each event name among them.

    They have a row for each person with events; what is missing in them is missing, also where it should be 0.
    """
    by_match: dict[Match, dict[Aggregate, str]] = {}
    for aggregate, column in aggregates.items():
        by_match.setdefault(aggregate.match, {})[aggregate] = column
    tables = []
    for match, wanted in by_match.items():
        plain = {one: column for one, column in wanted.items() if one.function != "most_frequent"}
        if plain:
            tables.append((frozenset(plain), _grouped(plain, events.filter(matching(events, match)), moved, clock)))
        for one, column in wanted.items():
            if one.function == "most_frequent":
                found = _most_frequent(one, column, events.filter(matching(events, match)), moved, clock)
                tables.append((frozenset((one,)), found))
    return tables


def finished(aggregate: Aggregate, value: "ir.Value") -> "ir.Value":
    """The value of an aggregate after a left join: 0 for who has no event where that is meant, and rounded."""
    if aggregate.total:
        value = value.fill_null(0)
    if aggregate.kind == "number":
        value = value.cast("float64")
        return value if aggregate.function in ("count", "distinct") else value.round(PLACES)
    if aggregate.kind == "list":  # Spark collects nothing as an empty list
        return ibis.cases((value.length() > 0, value), else_=ibis.null("array<string>"))
    return value


def _grouped(wanted: "dict[Aggregate, str]", events: "ir.Table", moved: "ir.Table", clock: Clock) -> "ir.Table":
    spans = {one: clock.span(one.window) for one in wanted}
    lows, highs = {low for low, _ in spans.values()}, {high for _, high in spans.values()}
    wheres = {one.where for one in wanted}
    shared = next(iter(wheres)) if len(wheres) == 1 else None
    found = events.filter(clock.inside(events, lows, highs))
    if shared is not None:
        found = found.filter(clock.where(found, shared))
    owned = with_person(found.select(*_columns(wanted, found)), moved)
    values = {}
    for one, column in wanted.items():
        low, high = spans[one]
        conditions = [owned.ts >= clock.at(low)] if low is not None and len(lows) > 1 else []
        conditions += [owned.ts < clock.at(high)] if len(highs) > 1 else []
        if one.where is not None and shared is None:
            conditions.append(clock.where(owned, one.where))
        values[column] = _value(one, owned, all_of(conditions) if conditions else None)
    return owned.group_by("person").agg(**values)


def _most_frequent(wanted: Aggregate, column: str, events: "ir.Table", moved: "ir.Table", clock: Clock) -> "ir.Table":
    """The smallest of the most frequent values."""
    low, high = clock.span(wanted.window)
    found = events.filter(clock.inside(events, {low}, {high}))
    if wanted.where is not None:
        found = found.filter(clock.where(found, wanted.where))
    assert wanted.source is not None
    owned = with_person(found.select("profile", value=_of(wanted.source, found)), moved)
    owned = owned.filter(owned.value.notnull())
    counts = owned.group_by("person", "value").agg(times=owned.count())
    most = counts.group_by("person").agg(most=counts.times.max()).rename(other="person")
    best = counts.join(most, [counts.person == most.other, counts.times == most.most])
    return best.group_by("person").agg(**{column: best.value.min()})


def _columns(wanted: Iterable[Aggregate], events: "ir.Table") -> list[str]:
    """What the aggregates read; whole tables make wide joins."""
    names = {"profile", "ts"}
    for one in wanted:
        names.update(_read(one.source, one.where))
    return [name for name in events.columns if name in names]


def _read(source: Source | None, where: Where | Property | None) -> set[str]:
    if isinstance(where, Where):
        return {name for part in where.parts for name in _read(None, part)} | _read(source, None)
    names: set[str] = set()
    for one in (source, where):
        if one is not None:
            names.update(("num", "text", "flag", "time", "list") if one.column is None else (one.column, "time"))
    return names


def _of(source: Source, events: "ir.Table") -> "ir.Value":
    return in_columns(events, source.name, source.column)(source.kind)


def _value(wanted: Aggregate, events: "ir.Table", condition: "ir.BooleanValue | None") -> "ir.Value":
    if wanted.function == "count" or wanted.source is None:
        return events.count(where=condition)
    if wanted.function == "distinct":
        return _distinct(wanted.source, events, condition)
    return _FUNCTIONS[wanted.function](_of(wanted.source, events), events.ts, condition)


def _distinct(source: Source, events: "ir.Table", condition: "ir.BooleanValue | None") -> "ir.Value":
    """Values of different kinds are different values."""
    values = in_columns(events, source.name, source.column)
    if source.kind != "any":
        return values(source.kind).nunique(where=condition)
    number, text, flag = (values(kind).nunique(where=condition) for kind in ("number", "text", "flag"))
    return number + text + flag


def _at_edge(value: "ir.Value", ts: "ir.Value", condition: "ir.BooleanValue | None", *, last: bool) -> "ir.Value":
    """The value of the first or last event that has one; of several at that moment the smallest or the largest."""
    there = value.notnull() if condition is None else condition & value.notnull()
    pair = ibis.struct({"ts": ts, "value": value})
    return (pair.max(where=there) if last else pair.min(where=there))["value"]


_FUNCTIONS: dict[str, Callable[[Any, Any, Any], "ir.Value"]] = {
    "sum": lambda value, _ts, condition: value.sum(where=condition),
    "avg": lambda value, _ts, condition: value.mean(where=condition),
    "min": lambda value, _ts, condition: value.min(where=condition),
    "max": lambda value, _ts, condition: value.max(where=condition),
    "first": lambda value, ts, condition: _at_edge(value, ts, condition, last=False),
    "last": lambda value, ts, condition: _at_edge(value, ts, condition, last=True),
    "unique_list": lambda value, _ts, condition: value.collect(where=condition, distinct=True).sort(),
}
