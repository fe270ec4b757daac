"""Trees as JSON again, in one spelling: `parse(to_json(rule), catalogue) == rule`."""

from typing import Any

from cdp.lake.rules.moments import spelled
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
    PersonalLeaf,
    Property,
    Rule,
    Sequence,
    Step,
    Test,
    Trait,
    Where,
)


def to_json(rule: Rule) -> dict[str, Any]:
    """The rule in the language's first spellings: `=`, "90d", lower-case names of known events."""
    if isinstance(rule, Group):
        return {"operator": rule.operator, "conditions": [to_json(part) for part in rule.parts]}
    if isinstance(rule, Trait):
        return {"trait": rule.key, **_test(rule.test)}
    if isinstance(rule, Measured):
        return {"computed": rule.name, **_test(rule.test)}
    if isinstance(rule, Field):
        return {"field": rule.name, **_test(rule.test)}
    if isinstance(rule, Happened):
        named = aggregate_json(rule.aggregate) if rule.name is None else {"computed": rule.name}
        return {**named, **_test(rule.test)}
    if isinstance(rule, Sequence):
        spans = {"within": rule.within, "lookback": rule.lookback}
        return {
            "sequence": [_step(step) for step in rule.steps],
            **{key: spelled(span) for key, span in spans.items() if span is not None},
        }
    if isinstance(rule, Consent):
        return {"consent": rule.type, "granted": rule.granted}
    if isinstance(rule, Member):
        return {"segment": rule.segment, "member": rule.member}
    assert isinstance(rule, Personal)
    return {"field": rule.leaf.field, **_personal(rule.leaf, holds=rule.holds)}


def aggregate_json(aggregate: Aggregate) -> dict[str, Any]:
    """What a computed trait computes, as `parse_aggregate` reads it."""
    node: dict[str, Any] = {"event": aggregate.match.name, "aggregate": aggregate.function}
    if aggregate.source is not None:
        node["property"] = aggregate.source.name
        if aggregate.function in ("min", "max", "first", "last", "most_frequent") and aggregate.source.column is None:
            node["kind"] = aggregate.source.kind
    if aggregate.where is not None:
        node["where"] = _where(aggregate.where)
    window = aggregate.window
    if window.within is not None:
        node["within"] = spelled(window.within)
    if window.period is not None:
        node["within"] = window.period
    return node | {test.operator: _value(test) for test in window.tests}


def _step(step: Step) -> dict[str, Any]:
    node: dict[str, Any] = {"event": step.match.name}
    if step.where is not None:
        node["where"] = _where(step.where)
    if step.negate:
        node["negate"] = True
    return node if step.after is None else node | {"after": spelled(step.after)}


def _where(where: Where | Property) -> dict[str, Any]:
    if isinstance(where, Property):
        return {"field": where.name, **_test(where.test)}
    return {"operator": where.operator, "conditions": [_where(part) for part in where.parts]}


def _test(test: Test) -> dict[str, Any]:
    return {"operator": test.operator} if test.value is None else {"operator": test.operator, "value": _value(test)}


def _value(test: Test) -> Any:
    if test.operator in ("within_last", "within_next"):
        assert isinstance(test.value, int)
        return spelled(test.value)
    return [_scalar(one) for one in test.value] if isinstance(test.value, tuple) else _scalar(test.value)


def _personal(leaf: PersonalLeaf, *, holds: bool) -> dict[str, Any]:
    if leaf.operator == "exists":
        return {"operator": "exists" if holds else "not_exists"}
    values = [_scalar(value) for value in leaf.values]
    return {"operator": leaf.operator, "value": values if leaf.operator == "in" else values[0]}


def _scalar(value: object) -> Any:
    if isinstance(value, Moment):
        return value.text
    return int(value) if isinstance(value, float) and value.is_integer() else value
