"""The functions and operators of calculated fields: what each takes and gives, and what it says.

Unless said otherwise the result is missing when an argument is. Numbers are 64-bit floats; a result that is not finite
is missing. Times are in UTC. Nothing converts by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cdp.lake.fields.tree import Kind

_ALL: tuple[Kind, ...] = ("number", "text", "flag", "time", "list")
MAX_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Form:
    """One way to call a function: the kinds it takes and gives. With `more`, the last kind may come more than once."""

    takes: tuple[Kind, ...]
    gives: Kind
    more: bool = False

    def fits(self, kinds: Sequence[Kind]) -> bool:
        """Whether arguments of these kinds fit."""
        if self.more and len(kinds) > len(self.takes):
            return tuple(kinds) == self.takes + (self.takes[-1],) * (len(kinds) - len(self.takes))
        return tuple(kinds) == self.takes


@dataclass(frozen=True, slots=True)
class Function:
    """A function: the ways to call it, how it is written, and what it gives, in words."""

    forms: tuple[Form, ...]
    usage: str
    words: str


def _number(*takes: Kind, more: bool = False) -> tuple[Form, ...]:
    return (Form(takes or ("number",), "number", more),)


def _compared(*kinds: Kind) -> tuple[Form, ...]:
    return tuple(Form((kind, kind), "flag") for kind in kinds)


_ALIKE = _compared("number", "text", "flag", "time")
_IN_ORDER = _compared("number", "text", "time")

OPERATORS: dict[str, Function] = {
    "+": Function(_number("number", "number"), "a + b", "sum"),
    "-": Function(_number("number", "number"), "a - b", "difference"),
    "*": Function(_number("number", "number"), "a * b", "product"),
    "/": Function(_number("number", "number"), "a / b", "quotient; missing when b is 0"),
    "%": Function(_number("number", "number"), "a % b", "rest, with the sign of a; missing when b is 0"),
    "negate": Function(_number(), "-a", "the number with the other sign"),
    "=": Function(_ALIKE, "a = b", "whether they are equal"),
    "!=": Function(_ALIKE, "a != b", "whether they are different"),
    "<": Function(_IN_ORDER, "a < b", "whether a is less"),
    "<=": Function(_IN_ORDER, "a <= b", "whether a is at most b"),
    ">": Function(_IN_ORDER, "a > b", "whether a is more"),
    ">=": Function(_IN_ORDER, "a >= b", "whether a is at least b"),
    "and": Function((Form(("flag", "flag"), "flag"),), "a and b", "whether both are true; false if one is false"),
    "or": Function((Form(("flag", "flag"), "flag"),), "a or b", "whether one is true; true if one is true"),
    "not": Function((Form(("flag",), "flag"),), "not a", "the opposite"),
}

FUNCTIONS: dict[str, Function] = {
    "if": Function(
        tuple(Form(("flag", kind, kind), kind) for kind in _ALL),
        "if(condition, then, else)",
        "`then` when the condition is true, `else` when it is false",
    ),
    "coalesce": Function(
        tuple(Form((kind, kind), kind, more=True) for kind in _ALL),
        "coalesce(a, b, …)",
        "the first that is not missing",
    ),
    "exists": Function(tuple(Form((kind,), "flag") for kind in _ALL), "exists(a)", "whether it is not missing"),
    "min": Function(
        tuple(Form((kind, kind), kind, more=True) for kind in ("number", "time")),
        "min(a, b, …)",
        "the smallest of those that are not missing",
    ),
    "max": Function(
        tuple(Form((kind, kind), kind, more=True) for kind in ("number", "time")),
        "max(a, b, …)",
        "the largest of those that are not missing",
    ),
    "abs": Function(_number(), "abs(number)", "without its sign"),
    "round": Function(
        (*_number(), *_number("number", "number")),
        "round(number, digits)",
        f"rounded half up to 0 (or as said, up to {MAX_DIGITS}) digits",
    ),
    "floor": Function(_number(), "floor(number)", "rounded down"),
    "ceil": Function(_number(), "ceil(number)", "rounded up"),
    "lower": Function((Form(("text",), "text"),), "lower(text)", "in small letters"),
    "upper": Function((Form(("text",), "text"),), "upper(text)", "in capital letters"),
    "trim": Function((Form(("text",), "text"),), "trim(text)", "without blanks at both ends"),
    "length": Function(
        (Form(("text",), "number"), Form(("list",), "number")), "length(text or list)", "how many characters or entries"
    ),
    "concat": Function(
        (Form(("text", "text"), "text", more=True),), "concat(a, b, …)", "the texts one after the other"
    ),
    "contains": Function(
        (Form(("text", "text"), "flag"), Form(("list", "text"), "flag")),
        "contains(text or list, text)",
        "whether the text occurs in it, or is an entry",
    ),
    "starts_with": Function((Form(("text", "text"), "flag"),), "starts_with(text, start)", "whether it starts so"),
    "ends_with": Function((Form(("text", "text"), "flag"),), "ends_with(text, end)", "whether it ends so"),
    "days_since": Function(_number("time"), "days_since(time)", "whole days from then to now; negative for the future"),
    "days_between": Function(_number("time", "time"), "days_between(from, to)", "whole days from one to the other"),
    "year": Function(_number("time"), "year(time)", "the year"),
    "month": Function(_number("time"), "month(time)", "the month, 1 to 12"),
    "now": Function((Form((), "time"),), "now()", "the moment of reading"),
}

KIND_NAMES: tuple[Kind, ...] = _ALL
"""`number(key)`, `text(key)`, … name a trait that the catalogue does not describe, and say what kind it is."""
