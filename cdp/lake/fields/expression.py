"""The value of an expression for everybody, as an Ibis expression: the same as `evaluate` gives for one."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

import ibis

from cdp.core.clock import DAY, SECOND
from cdp.lake.fields.evaluate import BLANKS, LARGEST
from cdp.lake.fields.tree import Call, Constant, Kind, Name, Node
from cdp.lake.marks import Now, instant

if TYPE_CHECKING:
    import ibis.expr.types as ir

TYPES: Mapping[Kind, str] = {
    "number": "float64",
    "text": "string",
    "flag": "boolean",
    "time": "int64",
    "list": "array<string>",
}
_INFINITE = (float("inf"), float("-inf"))


def expression(node: Node, value: "Callable[[Name], ir.Value]", *, now: Now) -> "ir.Value":
    """The tree at `now` (µs) over the columns that `value` gives for its names."""
    if isinstance(node, Constant):
        return _double(float(node.value)) if node.kind == "number" else ibis.literal(node.value, type=TYPES[node.kind])
    if isinstance(node, Name):
        return value(node)
    given = [expression(argument, value, now=now) for argument in node.arguments]
    if node.function == "now":
        return instant(now)
    if node.function == "days_since":
        return _days(given[0], instant(now))
    if node.function == "length":
        return given[0].length().cast("float64")
    if node.function == "round":
        return _round(given[0], node)
    result = _APPLY[node.function](*given)
    return _finite(result) if node.function in _MAY_OVERFLOW else result


def _double(number: float) -> "ir.Value":
    """A number that every engine takes for a 64-bit float: DuckDB reads 0.5 as a decimal, and decimals overflow."""
    return ibis.literal(repr(number)).cast("float64")


def _finite(number: "ir.Value") -> "ir.Value":
    return reduce(lambda value, infinite: value.nullif(_double(infinite)), _INFINITE, number)


def _bounded(number: "ir.Value") -> "ir.Value":
    return number.clip(_double(-LARGEST), _double(LARGEST))


def _floor(number: "ir.Value") -> "ir.Value":
    return _bounded(number).floor().cast("float64")


def _round(number: "ir.Value", node: Call) -> "ir.Value":
    digits = node.arguments[1] if len(node.arguments) > 1 else Constant("number", 0.0)
    scale = 10.0 ** int(digits.value) if isinstance(digits, Constant) else 1.0
    return _floor(number * _double(scale) + _double(0.5)) / _double(scale)


def _days(since: "ir.Value", until: "ir.Value") -> "ir.Value":
    return ((until - since).cast("float64") / _double(float(DAY))).floor().cast("float64")


def _moment(time: "ir.Value") -> "ir.Value":
    return (time // SECOND).as_timestamp("s")


_MAY_OVERFLOW = frozenset({"+", "-", "*", "/", "%"})

_APPLY: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b.nullif(_double(0.0)),
    "%": lambda a, b: a % b.nullif(_double(0.0)),
    "negate": lambda a: -a,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "not": lambda a: ~a,
    # a simple CASE: a missing condition meets neither, and the condition stands there once
    "if": lambda condition, then, other: condition.cases((True, then), (False, other), else_=ibis.null(then.type())),
    "coalesce": ibis.coalesce,
    "exists": lambda a: a.notnull(),
    "min": ibis.least,
    "max": ibis.greatest,
    "abs": lambda a: a.abs(),
    "floor": _floor,
    "ceil": lambda a: _bounded(a).ceil().cast("float64"),
    "lower": lambda a: a.lower(),
    "upper": lambda a: a.upper(),
    "trim": lambda a: a.re_replace(f"^[{BLANKS}]+|[{BLANKS}]+$", ""),
    "concat": lambda *texts: reduce(lambda left, right: left + right, texts),
    "contains": lambda whole, part: whole.contains(part),
    "starts_with": lambda a, b: a.startswith(b),
    "ends_with": lambda a, b: a.endswith(b),
    "days_between": _days,
    "year": lambda time: _moment(time).year().cast("float64"),
    "month": lambda time: _moment(time).month().cast("float64"),
}
