"""The words of the language: operators, aggregates and their synonyms in the seeds."""

import re
from difflib import get_close_matches

OPERATORS = (
    "=", "!=", ">", ">=", "<", "<=", "in", "not_in", "contains", "not_contains", "starts_with", "ends_with",
    "exists", "not_exists", "between", "before", "after", "within_last", "within_next",
)  # fmt: skip
NEGATIVE = frozenset({"!=", "not_in", "not_contains", "not_exists"})
"""What a missing value satisfies."""

_SYNONYMS = {
    "=": "== eq equal equals is equal_to equals_to",
    "!=": "<> ≠ ne neq not_equal not_equals is_not not_equal_to does_not_equal",
    ">": "gt greater greater_than more_than",
    ">=": "≥ gte ge greater_than_or_equal greater_than_or_equals greater_than_or_equal_to greater_or_equal at_least",
    "<": "lt less less_than fewer_than",
    "<=": "≤ lte le less_than_or_equal less_than_or_equals less_than_or_equal_to less_or_equal at_most",
    "in": "in_list one_of any_of is_one_of is_in",
    "not_in": "nin not_in_list none_of not_one_of is_not_in",
    "contains": "includes has",
    "not_contains": "not_includes excludes does_not_contain",
    "starts_with": "startswith begins_with",
    "ends_with": "endswith",
    "exists": "is_set is_not_null not_null has_value",
    "not_exists": "not_set is_not_set is_null is_missing missing does_not_exist",
    "between": "in_range is_between",
    "before": "is_before earlier_than",
    "after": "is_after later_than",
    "within_last": "in_last in_the_last within_the_last",
    "within_next": "in_next in_the_next within_the_next",
}
_OPERATOR_OF = {name: name for name in OPERATORS} | {
    synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms.split()
}
_IN_WORDS = {
    "=": "equals", "!=": "not_equals", ">": "greater_than", ">=": "greater_than_or_equal", "<": "less_than",
    "<=": "less_than_or_equal",
}  # fmt: skip

FUNCTIONS = ("count", "sum", "avg", "min", "max", "first", "last", "distinct", "most_frequent", "unique_list")
_FUNCTION_OF = {name: name for name in FUNCTIONS} | {
    "total": "sum", "average": "avg", "mean": "avg", "minimum": "min", "maximum": "max", "unique_count": "distinct",
    "count_distinct": "distinct", "distinct_count": "distinct", "unique": "distinct", "mode": "most_frequent",
    "unique_values": "unique_list",
}  # fmt: skip

_CONNECTIVES = {"and": "AND", "all": "AND", "or": "OR", "any": "OR", "not": "NOT"}


def _plain(text: str) -> str:
    """`greaterThan`, `greater-than`, `GREATER_THAN` and `greater than` are one word."""
    text = text.strip()
    if text.upper() != text:
        text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)
    return re.sub(r"[\s\-_]+", "_", text.lower())


def operator_of(text: str) -> str | None:
    """The operator that `text` names in any spelling, or None."""
    return _OPERATOR_OF.get(_plain(text))


def nearest_operator(text: str) -> str | None:
    """The operator that a misspelled `text` may mean, in words where it is a sign; None when nothing is near."""
    near = get_close_matches(_plain(text)[:50], _OPERATOR_OF, n=1, cutoff=0.6)
    return _IN_WORDS.get(_OPERATOR_OF[near[0]], _OPERATOR_OF[near[0]]) if near else None


def function_of(text: str) -> str | None:
    """The aggregate that `text` names in any spelling, or None."""
    return _FUNCTION_OF.get(_plain(text))


def connective_of(text: str) -> str | None:
    """AND, OR or NOT, in any case, or None."""
    return _CONNECTIVES.get(text.strip().lower())
