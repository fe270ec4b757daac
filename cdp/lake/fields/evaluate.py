"""The value of an expression for one person, in Python. `cdp.lake.fields.expression` gives the same for everybody."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from cdp.core.clock import DAY, from_us
from cdp.lake.fields.tree import Call, Constant, Name, Node, Value

LARGEST = 9e15
"""Rounding takes what is beyond for this: engines round to 64-bit whole numbers."""
BLANKS = " \t\n\r\v\f"


def evaluate(node: Node, values: Mapping[str, Value], *, now: int) -> Value:
    """The value of a tree at `now` (µs). `values` has what its names stand for; what it has not is missing."""
    found: Value = _value(node, values, now)
    return found


def _value(node: Node, values: Mapping[str, Value], now: int) -> Any:
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Name):
        return values.get(node.key)
    if node.function == "if":
        return _if(node, values, now)
    if node.function == "now":
        return now
    given = [_value(argument, values, now) for argument in node.arguments]
    if (apply := _WITH_MISSING.get(node.function)) is not None:
        return apply(*given)
    if any(value is None for value in given):
        return None
    if node.function == "days_since":
        return _days(given[0], now)
    return _finite(_PLAIN[node.function](*given))


def _if(node: Call, values: Mapping[str, Value], now: int) -> Any:
    condition = _value(node.arguments[0], values, now)
    if condition is None:
        return None
    return _value(node.arguments[1 if condition else 2], values, now)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _and(left: Any, right: Any) -> Value:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _or(left: Any, right: Any) -> Value:
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def _floor(number: float) -> float:
    return float(math.floor(min(max(number, -LARGEST), LARGEST)))


def _ceil(number: float) -> float:
    return float(math.ceil(min(max(number, -LARGEST), LARGEST)))


def _round(number: float, digits: float = 0.0) -> float:
    scale = 10.0 ** int(digits)
    return _floor(number * scale + 0.5) / scale


def _days(since: Any, until: Any) -> float:
    return float(math.floor(float(until - since) / DAY))


def _lower(text: str) -> str:
    """Letter by letter, as DuckDB does it: what has several letters in the other case is not spelled out."""
    return text.lower() if text.isascii() else "".join("i" if letter == "İ" else letter.lower() for letter in text)


def _upper(text: str) -> str:
    return text.upper() if text.isascii() else "".join(map(_upper_letter, text))


def _upper_letter(letter: str) -> str:
    return next(
        (found for found in (letter.upper(), letter.title()) if len(found) == 1), "ẞ" if letter == "ß" else letter
    )


def _known(values: tuple[Any, ...]) -> list[Any]:
    return [value for value in values if value is not None]


_WITH_MISSING: dict[str, Callable[..., Value]] = {
    "coalesce": lambda *values: next(iter(_known(values)), None),
    "exists": lambda value: value is not None,
    "min": lambda *values: min(_known(values), default=None),
    "max": lambda *values: max(_known(values), default=None),
    "and": _and,
    "or": _or,
}

_PLAIN: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else None,
    "%": lambda a, b: math.fmod(a, b) if b else None,
    "negate": lambda a: -a,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "not": lambda a: not a,
    "abs": abs,
    "round": _round,
    "floor": _floor,
    "ceil": _ceil,
    "lower": _lower,
    "upper": _upper,
    "trim": lambda text: text.strip(BLANKS),
    "length": lambda value: float(len(value)),
    "concat": lambda *texts: "".join(texts),
    "contains": lambda whole, part: part in whole,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "days_between": _days,
    "year": lambda time: float(from_us(time).year),
    "month": lambda time: float(from_us(time).month),
}
