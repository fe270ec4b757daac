"""Rules in plain English, for people who did not write them."""

from collections.abc import Sequence as Items

from cdp.core.clock import DAY, HOUR, MINUTE, SECOND
from cdp.lake.measures import MEASURES
from cdp.lake.rules.tree import (
    Aggregate,
    Consent,
    Field,
    Group,
    Happened,
    Measured,
    Member,
    Moment,
    Personal,
    Property,
    Rule,
    Sequence,
    Step,
    Test,
    Trait,
    Where,
    Window,
)

_SHOWN = 5
_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))
_IS = {
    "=": "is {}", "!=": "is not {}", ">": "is more than {}", ">=": "is at least {}", "<": "is less than {}",
    "<=": "is at most {}", "in": "is one of {}", "not_in": "is none of {}", "contains": "contains {}",
    "not_contains": "does not contain {}", "starts_with": "starts with {}", "ends_with": "ends with {}",
    "exists": "is known", "not_exists": "is not known", "between": "is from {} to {}", "before": "is before {}",
    "after": "is after {}", "within_last": "is in the last {}", "within_next": "is in the next {}",
}  # fmt: skip
_TIME_IS = {">": "is after {}", ">=": "is {} or later", "<": "is before {}", "<=": "is {} or earlier"}
_OF = {
    "sum": "sum of {}", "avg": "average {}", "min": "smallest {}", "max": "largest {}", "first": "first {}",
    "last": "last {}", "distinct": "number of different {}", "most_frequent": "most frequent {}",
    "unique_list": "list of {}",
}  # fmt: skip
_TIMES = {"=": "exactly {}", ">": "more than {}", ">=": "at least {}", "<": "fewer than {}", "<=": "at most {}"}
_FIELDS = {"createdAt": "date of creation"}


def in_words(rule: Rule) -> str:
    """The rule as one English sentence. Values of personal fields are not shown."""
    phrase = _phrase(rule, top=True)
    return f"People, but {phrase}." if phrase.startswith("not those") else f"People {phrase}."


def aggregate_in_words(aggregate: Aggregate) -> str:
    """What a computed trait computes: "sum of revenue of purchase in the last 90 days"."""
    what = _events(aggregate)
    if aggregate.function == "count" or aggregate.source is None:
        return f"number of times of {what}"
    return f"{_OF[aggregate.function].format(aggregate.source.name)} of {what}"


def _phrase(rule: Rule, *, top: bool = False) -> str:
    """A clause that follows "people": "whose plan is …, and who did …"."""
    if not isinstance(rule, Group):
        return _leaf(rule)
    parts = [_phrase(part) for part in rule.parts]
    if rule.operator == "NOT":
        together = ", and ".join(parts)
        return f"not those {together}" if len(parts) == 1 else f"not those ({together})"
    joined = (", or " if rule.operator == "OR" else ", and ").join(parts)
    return joined if top or len(parts) == 1 else f"({joined})"


def _leaf(leaf: Rule) -> str:
    if isinstance(leaf, Trait):
        return f"whose {leaf.key} {_is(leaf.test)}"
    if isinstance(leaf, Field):
        return f"whose {_FIELDS[leaf.name]} {_is(leaf.test)}"
    if isinstance(leaf, Measured):
        return f"whose {MEASURES[leaf.name].words} {_is(leaf.test)}"
    if isinstance(leaf, Happened):
        return _happened(leaf)
    if isinstance(leaf, Sequence):
        return _sequence(leaf)
    if isinstance(leaf, Consent):
        return f"who {'have' if leaf.granted else 'have not'} granted {leaf.type}"
    if isinstance(leaf, Member):
        return f"who are {'in' if leaf.member else 'not in'} the segment {_quoted(leaf.segment)}"
    assert isinstance(leaf, Personal)
    if leaf.leaf.operator == "exists":
        return f"whose {leaf.leaf.field} is {'known' if leaf.holds else 'not known'}"
    number = len(leaf.leaf.values)
    return f"whose {leaf.leaf.field} is {'a given value' if number == 1 else f'one of {number} given values'}"


def _happened(leaf: Happened) -> str:
    aggregate, test = leaf.aggregate, leaf.test
    if leaf.name is not None:
        return f"whose {leaf.name} {_is(test)}"
    if aggregate.function != "count":
        return f"whose {aggregate_in_words(aggregate)} {_is(test)}"
    what = _events(aggregate)
    if (test.operator, test.value) in ((">=", 1.0), (">", 0.0)):
        return f"who did {what}"
    if (test.operator, test.value) in (("=", 0.0), ("<", 1.0), ("<=", 0.0)):
        return f"who did not do {what}"
    if test.operator in _TIMES and isinstance(test.value, float):
        times = _TIMES[test.operator].format(f"{_number(test.value)} {'time' if test.value == 1 else 'times'}")
        return f"who did {_matched(aggregate)} {times}{_window(aggregate.window)}"
    return f"whose {aggregate_in_words(aggregate)} {_is(test)}"


def _events(aggregate: Aggregate) -> str:
    return f"{_matched(aggregate)}{_window(aggregate.window)}"


def _matched(aggregate: Aggregate) -> str:
    where = f" where {_where(aggregate.where)}" if aggregate.where is not None else ""
    return f"{aggregate.match.name}{where}"


def _window(window: Window) -> str:
    words = [f" in the last {_span(window.within)}"] if window.within is not None else []
    if window.period is not None:
        words.append(f" {window.period.replace('_', ' ')}")
    for test in window.tests:
        if isinstance(test.value, tuple):
            words.append(" from {} to {}".format(*(_value(one) for one in test.value)))
        else:
            words.append(f" {test.operator} {_value(test.value)}")
    return "".join(words)


def _sequence(leaf: Sequence) -> str:
    first, *others = leaf.steps
    words = [f"who did {_step(first)}", *(_following(step) for step in others)]
    within = f", all within {_span(leaf.within)}" if leaf.within is not None else ""
    lookback = f", beginning in the last {_span(leaf.lookback)}" if leaf.lookback is not None else ""
    return f"{', then '.join(words)}{within}{lookback}"


def _following(step: Step) -> str:
    within = f" within {_span(step.after)}" if step.after is not None else ""
    return f"{'did not do ' if step.negate else ''}{_step(step)}{within}"


def _step(step: Step) -> str:
    return step.match.name if step.where is None else f"{step.match.name} where {_where(step.where)}"


def _where(where: Where | Property) -> str:
    if isinstance(where, Property):
        return f"{where.name} {_is(where.test)}"
    parts = (" or " if where.operator == "OR" else " and ").join(_where(part) for part in where.parts)
    if where.operator == "NOT":
        return f"not ({parts})"
    return parts if len(where.parts) == 1 else f"({parts})"


def _is(test: Test) -> str:
    if test.operator in ("within_last", "within_next"):
        assert isinstance(test.value, int)
        return _IS[test.operator].format(_span(test.value))
    if test.operator == "between" and isinstance(test.value, tuple):
        return _IS["between"].format(*(_value(one) for one in test.value))
    pattern = (_TIME_IS if test.kind == "time" else {}).get(test.operator, _IS[test.operator])
    return pattern.format(_listed(test.value) if isinstance(test.value, tuple) else _value(test.value))


def _listed(values: Items[object]) -> str:
    words = ", ".join(_value(value) for value in values[:_SHOWN])
    return words if len(values) <= _SHOWN else f"{words}, … ({len(values)} in all)"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Moment):
        return value.text.replace("T", " ")
    return _quoted(str(value))


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else str(value)


def _quoted(text: str) -> str:
    return f"“{text}”"


def _span(span: int) -> str:
    size, name = next((size, name) for size, name in _UNITS if span % size == 0)
    number = span // size
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
