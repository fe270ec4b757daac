"""Tests as Ibis expressions that are true or false, never null: NOT is plain negation on every engine."""

from collections.abc import Callable, Iterable
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

import ibis

from cdp.lake.rules.moments import edges
from cdp.lake.rules.operators import NEGATIVE
from cdp.lake.rules.tree import Kind, Moment, Property, Scalar, Test, Where

if TYPE_CHECKING:
    import ibis.expr.types as ir

MAPS: dict[Kind, str] = {"number": "num", "text": "text", "flag": "flag", "time": "time", "list": "list"}
"""Kind → the map column that has it where there is no typed column."""
TYPES: dict[Kind, str] = {
    "number": "float64", "text": "string", "flag": "boolean", "time": "int64", "list": "array<string>",
}  # fmt: skip
_IS: dict[Kind, Callable[[Any], bool]] = {
    "number": lambda type_: type_.is_floating(),
    "text": lambda type_: type_.is_string(),
    "flag": lambda type_: type_.is_boolean(),
    "time": lambda type_: type_.is_integer(),
    "list": lambda type_: type_.is_array(),
}
Values = Callable[[Kind], "ir.Value"]
"""The value of a key by kind; null where it has none of that kind."""


def kinds_read(test: Test) -> tuple[Kind, ...]:
    """The kinds of values that `holds` looks at."""
    if test.kind != "any":
        return (test.kind,)
    return ("number", "text", "flag", "list") if test.operator in ("exists", "not_exists") else ("text", "list")


def holds(test: Test, values: Values, *, now: "ir.IntegerScalar", zone: str) -> "ir.BooleanValue":
    """Whether `test` holds. `zone` is the one of moments without a zone, for what is compared here."""
    if test.operator in ("exists", "not_exists"):
        there = any_of(values(kind).notnull() for kind in kinds_read(test))
        return there if test.operator == "exists" else ~there
    if test.kind == "any":
        found = values("text").contains(_literal(test.value, "text")).fill_null(False) | _has(values, test)
        return found if test.operator == "contains" else ~found
    if test.kind == "list":
        return _has(values, test) if test.operator == "contains" else ~_has(values, test)
    compared = _compared(values(test.kind), test, now, zone)
    return compared.fill_null(test.operator in NEGATIVE)


def where_holds(
    where: Where | Property, values: Callable[[Property], Values], *, now: "ir.IntegerScalar", zone: str = "UTC"
) -> "ir.BooleanValue":
    """Whether a tree over properties holds; `values` gives those of a property."""
    if isinstance(where, Property):
        return holds(where.test, values(where), now=now, zone=zone)
    return connected(where.operator, [where_holds(part, values, now=now, zone=zone) for part in where.parts])


def connected(operator: str, parts: Iterable["ir.BooleanValue"]) -> "ir.BooleanValue":
    """AND, OR, NOT (of all together) over parts that are never null."""
    if operator == "OR":
        return any_of(parts)
    together = all_of(parts)
    return ~together if operator == "NOT" else together


def any_of(parts: Iterable["ir.BooleanValue"]) -> "ir.BooleanValue":
    """OR."""
    return reduce(or_, parts)


def all_of(parts: Iterable["ir.BooleanValue"]) -> "ir.BooleanValue":
    """AND."""
    return reduce(and_, parts)


def in_columns(table: "ir.Table", key: str, column: str | None) -> Values:
    """The values of `key` in `table`: its typed column for values of that column's type, the maps for all others."""

    def value(kind: Kind) -> "ir.Value":
        if column is not None and column in table.columns and _IS[kind](table[column].type()):
            return table[column]
        return table[MAPS[kind]].get(ibis.literal(key))

    return value


def moment_edges(moment: Scalar | None, zone: str) -> tuple[int, int]:
    """Microseconds: the first of a moment of a test, and the first after it."""
    assert isinstance(moment, Moment), "a test on times has moments"
    return edges(moment.text, zone)


def _has(values: Values, test: Test) -> "ir.BooleanValue":
    return values("list").contains(_literal(test.value, "text")).fill_null(False)


def _compared(value: "ir.Value", test: Test, now: "ir.IntegerScalar", zone: str) -> "ir.BooleanValue":
    if test.kind == "time":
        return _time(value, test, now, zone)
    operand = test.value
    if isinstance(operand, tuple):
        literals = [_literal(one, test.kind) for one in operand]
        if test.operator == "between":
            return (value >= literals[0]) & (value <= literals[1])
        inside = value.isin(literals)
        return inside if test.operator == "in" else ~inside
    return _PLAIN[test.operator](value, _literal(operand, test.kind))


def _time(value: "ir.Value", test: Test, now: "ir.IntegerScalar", zone: str) -> "ir.BooleanValue":
    """A day is a range of microseconds: `=` is inside it, `>` after it, `>=` from its beginning."""
    operator, operand = test.operator, test.value
    if operator in ("within_last", "within_next"):
        assert isinstance(operand, int)
        if operator == "within_last":
            return (value >= now - _us(operand)) & (value <= now)
        return (value >= now) & (value <= now + _us(operand))
    if isinstance(operand, tuple):
        ranges = [moment_edges(one, zone) for one in operand]
        if operator == "between":
            return _range(value, ranges[0][0], ranges[1][1])
        inside = any_of(_range(value, *one) for one in ranges)
        return inside if operator == "in" else ~inside
    assert isinstance(operand, Moment)
    start, end = moment_edges(operand, zone)
    if operator in ("=", "!="):
        inside = _range(value, start, end)
        return inside if operator == "=" else ~inside
    if operator in ("<", "before"):
        return value < _us(start)
    if operator == "<=":
        return value < _us(end)
    return value >= _us(start if operator == ">=" else end)


def _range(value: "ir.Value", start: int, end: int) -> "ir.BooleanValue":
    return (value >= _us(start)) & (value < _us(end))


def _us(time: int) -> "ir.Value":
    return ibis.literal(time, type="int64")


def _literal(value: Any, kind: Kind) -> "ir.Value":
    return ibis.literal(value, type=TYPES[kind])


_PLAIN: dict[str, Callable[["ir.Value", "ir.Value"], "ir.BooleanValue"]] = {
    "=": lambda value, operand: value == operand,
    "!=": lambda value, operand: value != operand,
    ">": lambda value, operand: value > operand,
    ">=": lambda value, operand: value >= operand,
    "<": lambda value, operand: value < operand,
    "<=": lambda value, operand: value <= operand,
    "contains": lambda value, operand: value.contains(operand),
    "not_contains": lambda value, operand: ~value.contains(operand),
    "starts_with": lambda value, operand: value.startswith(operand),
    "ends_with": lambda value, operand: value.endswith(operand),
}
