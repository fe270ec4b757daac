"""Operators with their values: which go together, and what is read from them."""

from collections.abc import Mapping
from typing import Final, get_args

from cdp.lake.rules.errors import RuleError, shown
from cdp.lake.rules.moments import LONGEST, is_moment, span_of
from cdp.lake.rules.operators import OPERATORS, nearest_operator, operator_of
from cdp.lake.rules.tree import Kind, Moment, Scalar, Test, Value

MAX_TEXT = 1_000
MAX_VALUES = 10_000
LARGEST = 1e15
"""Numbers in rules stay where a 64-bit float has every whole number."""

_KINDS: Final = tuple(kind for kind in get_args(Kind) if kind != "any")
_ORDER = frozenset({">", ">=", "<", "<=", "between"})
_PRESENCE = frozenset({"exists", "not_exists"})
_SUBSTRING = frozenset({"contains", "not_contains", "starts_with", "ends_with"})
_RELATIVE = frozenset({"within_last", "within_next"})
_TIME_ONLY = _RELATIVE | {"before", "after"}
_ALLOWED: Mapping[str, frozenset[str]] = {
    "number": _ORDER | _PRESENCE | {"=", "!=", "in", "not_in"},
    "text": _ORDER | _PRESENCE | _SUBSTRING | _TIME_ONLY | {"=", "!=", "in", "not_in"},
    "flag": _PRESENCE | {"=", "!=", "in", "not_in"},
    "time": _ORDER | _PRESENCE | _TIME_ONLY | {"=", "!=", "in", "not_in"},
    "list": _PRESENCE | {"contains", "not_contains"},
    "any": frozenset(OPERATORS),
}
_WORDS = {
    "number": "a number", "text": "a text", "flag": "true or false", "list": "a list",
    "time": 'a time: an ISO date such as "2026-03-01", or a date and time',
}  # fmt: skip


def read_test(node: Mapping[str, object], path: str, *, name: str, kind: str | None, computed: bool = False) -> Test:
    """The `operator` and `value` of a condition about `name`, whose values are of `kind` (None: not catalogued).

    A stored text that reads as a time can also be compared as one; one that was computed cannot.
    """
    operator = read_operator(node, path)
    allowed = _ALLOWED[kind or "any"] - (_TIME_ONLY if computed and kind == "text" else frozenset())
    if operator not in allowed:
        usable = ", ".join(known for known in OPERATORS if known in allowed)
        raise RuleError(
            f"{path}.operator",
            f"{name!r} is {_WORDS[kind or 'text'].partition(':')[0]}: use one of {usable}, not {operator!r}.",
        )
    value, at = node.get("value"), f"{path}.value"
    if operator in _PRESENCE:
        if value not in (None, True):
            raise RuleError(at, f"{operator!r} asks whether there is a value: leave 'value' out.")
        return Test(operator, as_kind(kind or "any"))
    if value is None:
        hint = " To find who has none, use 'not_exists'." if operator in ("=", "!=") else ""
        raise RuleError(at, f"{operator!r} needs a value.{hint}")
    if operator in _RELATIVE:
        return Test(operator, "time", read_span(value, at))
    if operator in _SUBSTRING:
        found = kind or ("any" if operator in ("contains", "not_contains") else "text")
        return Test(operator, as_kind(found), _text(value, at))
    if operator in ("before", "after"):
        return Test(operator, "time", read_scalar(value, at, "time"))
    chosen = kind or _kind_of(operator, value)
    return Test(operator, as_kind(chosen), _operand(operator, value, at, chosen))


def read_operator(node: Mapping[str, object], path: str) -> str:
    """The operator of a condition. Raises RuleError when there is none."""
    given = node.get("operator")
    if given is None:
        raise RuleError(f"{path}.operator", f"An operator is missing: one of {', '.join(OPERATORS)}.")
    found = operator_of(given) if isinstance(given, str) else None
    if found is None:
        near = nearest_operator(given) if isinstance(given, str) else None
        hint = f"Did you mean {near!r}?" if near else f"There are: {', '.join(OPERATORS)}."
        raise RuleError(f"{path}.operator", f"{shown(given)} is no operator. {hint}")
    return found


def read_span(value: object, path: str, *, zero: bool = False) -> int:
    """Microseconds of a span such as "90d". Raises RuleError."""
    span = span_of(value) if isinstance(value, str) else None
    if span is None:
        raise RuleError(path, f'{shown(value)} is no span of time. Write "30d": a number and s, m, h, d or w.')
    if span > LONGEST or (span == 0 and not zero):
        raise RuleError(path, f"{shown(value)} is out of bounds: from one second to 100 years.")
    return span


def read_scalar(value: object, path: str, kind: str) -> Scalar:
    """One value of `kind`. Raises RuleError: types never convert."""
    if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, path)
    if kind == "flag" and isinstance(value, bool):
        return value
    if kind == "text" and isinstance(value, str):
        return _text(value, path)
    if kind == "time" and isinstance(value, str) and is_moment(value.strip()):
        return Moment(value.strip())
    raise RuleError(path, f"{shown(value)} cannot be compared: the value must be {_WORDS[kind]}.")


def kind_of_scalar(value: object) -> str:
    """The kind of a JSON value by itself; text for what is none."""
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int | float) else "text"


def as_kind(text: str) -> Kind:
    """`text` as a kind. Raises ValueError when a catalogue says something else."""
    for kind in get_args(Kind):
        if kind == text:
            known: Kind = kind
            return known
    raise ValueError(f"{text!r} is no kind of value: {', '.join(_KINDS)}")


def _operand(operator: str, value: object, path: str, kind: str) -> Value:
    if operator in ("in", "not_in"):
        return _values(operator, value, path, kind)
    if operator == "between":
        return read_bounds(value, path, kind)
    if isinstance(value, list):
        raise RuleError(path, f"{operator!r} takes one value. For several use 'in'.")
    return read_scalar(value, path, kind)


def _kind_of(operator: str, value: object) -> str:
    """A text that is compared by order and reads as a time is a time."""
    first = value[0] if isinstance(value, list) and value else value
    if operator in _ORDER and isinstance(first, str) and is_moment(first.strip()):
        return "time"
    return kind_of_scalar(first)


def _values(operator: str, value: object, path: str, kind: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or not value:
        raise RuleError(path, f"{operator!r} takes a list with at least one value.")
    if len(value) > MAX_VALUES:
        raise RuleError(path, f"{len(value)} values; at most {MAX_VALUES} are allowed. Use a segment with a list.")
    return tuple(dict.fromkeys(read_scalar(one, f"{path}[{index}]", kind) for index, one in enumerate(value)))


def read_bounds(value: object, path: str, kind: str) -> tuple[Scalar, ...]:
    """The two values of `between`. Raises RuleError."""
    if not isinstance(value, list) or len(value) != 2:
        raise RuleError(path, "'between' takes a list of two values: the lowest and the highest, both included.")
    low, high = (read_scalar(one, f"{path}[{index}]", kind) for index, one in enumerate(value))
    wrong = (
        low.text[:10] > high.text[:10]
        if isinstance(low, Moment) and isinstance(high, Moment)
        else not isinstance(low, Moment) and not isinstance(high, Moment) and low > high  # type: ignore[operator]
    )
    if wrong:
        raise RuleError(path, f"The first value ({shown(value[0])}) must not be above the second ({shown(value[1])}).")
    return low, high


def _number(value: float, path: str) -> float:
    if value != value:  # noqa: PLR0124 - nothing but NaN is unlike itself; whole numbers may be too large for isnan
        raise RuleError(path, "NaN is no number to compare with.")
    if abs(value) > LARGEST:
        raise RuleError(path, f"{shown(value)} is too large: numbers go up to 1e15.")
    return float(value) + 0.0


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise RuleError(path, f"{shown(value)} cannot be compared: the value must be a text.")
    return checked_text(value, path)


def checked_text(value: str, path: str) -> str:
    """`value`, when it can be kept and looked for. Raises RuleError."""
    if len(value) > MAX_TEXT:
        raise RuleError(path, f"The text has {len(value)} characters; at most {MAX_TEXT} are allowed.")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise RuleError(path, "The text has a character that no stored value can have.")
    return value
