"""What a rule says about somebody who lacks something: when that is "no", the others need not be looked at."""

from collections.abc import Callable

from cdp.lake.rules.operators import NEGATIVE
from cdp.lake.rules.tree import Group, Happened, Leaf, Member, Personal, Rule, Test


def false_if_absent(rule: Rule, absent: Callable[[Leaf], bool]) -> bool:
    """Whether nobody without the things that the `absent` conditions look at can satisfy `rule`."""
    return _value(rule, absent) is False


def _value(rule: Rule, absent: Callable[[Leaf], bool]) -> bool | None:
    """The rule's value for such a person, or None when it depends on other things."""
    if not isinstance(rule, Group):
        return _without(rule) if absent(rule) else None
    parts = [_value(part, absent) for part in rule.parts]
    if rule.operator == "OR":
        return True if True in parts else (None if None in parts else False)
    together = False if False in parts else (None if None in parts else True)
    return (None if together is None else not together) if rule.operator == "NOT" else together


def _without(leaf: Leaf) -> bool:
    if isinstance(leaf, Happened):
        if leaf.aggregate.total:
            return _zero(leaf.test)
        return leaf.test.operator in NEGATIVE
    if isinstance(leaf, Member):
        return not leaf.member
    if isinstance(leaf, Personal):
        return not leaf.holds
    return False


def _zero(test: Test) -> bool:
    """Whether 0 satisfies a test on numbers."""
    value = test.value
    if isinstance(value, tuple):
        if test.operator == "between":
            low, high = value
            return isinstance(low, float) and isinstance(high, float) and low <= 0 <= high
        return (0.0 in value) == (test.operator == "in")
    if value is None:
        return test.operator == "exists"
    assert isinstance(value, float), "counts and sums are compared with numbers"
    return {"=": value == 0, "!=": value != 0, ">": value < 0, ">=": value <= 0, "<": value > 0, "<=": value >= 0}[
        test.operator
    ]
