"""What a rule depends on, so that it is computed again when that changes."""

from collections.abc import Iterator

import msgspec

from cdp.lake.rules.tree import (
    Aggregate,
    Consent,
    Field,
    Group,
    Happened,
    Leaf,
    Measured,
    Member,
    Personal,
    PersonalLeaf,
    Property,
    Rule,
    Sequence,
    Test,
    Trait,
    Where,
)


class Facts(msgspec.Struct, frozen=True):
    """`events`: names or types of events; `traits`: keys; `segments`: keys of other segments; `measures`: their names.

    `windowed`: time alone can change who is in: a window, a relative or calendar time, a sequence that waits, a consent
    that may run out, a measure. Values that expire and events dated ahead are not meant: their people are marked as
    changed when the time comes.
    """

    events: frozenset[str]
    traits: frozenset[str]
    segments: frozenset[str]
    measures: frozenset[str]
    windowed: bool
    personal: tuple[PersonalLeaf, ...]


def leaves(rule: Rule) -> Iterator[Leaf]:
    """Every condition of a rule, in order."""
    if isinstance(rule, Group):
        for part in rule.parts:
            yield from leaves(part)
    else:
        yield rule


def facts(rule: Rule) -> Facts:
    """What `rule` depends on."""
    all_ = list(leaves(rule))
    personal = dict.fromkeys(leaf.leaf for leaf in all_ if isinstance(leaf, Personal))
    return Facts(
        events=frozenset(name for leaf in all_ for name in _events(leaf)),
        traits=frozenset(leaf.key for leaf in all_ if isinstance(leaf, Trait)),
        segments=frozenset(leaf.segment for leaf in all_ if isinstance(leaf, Member)),
        measures=frozenset(leaf.name for leaf in all_ if isinstance(leaf, Measured)),
        windowed=any(_moves(leaf) for leaf in all_),
        personal=tuple(personal),
    )


def moves(aggregate: Aggregate) -> bool:
    """Whether time alone can change its value."""
    window = aggregate.window
    return window.within is not None or window.period is not None or _relative(aggregate.where)


def _events(leaf: Leaf) -> list[str]:
    if isinstance(leaf, Happened):
        return [leaf.aggregate.match.type or leaf.aggregate.match.name]
    if isinstance(leaf, Sequence):
        return [step.match.type or step.match.name for step in leaf.steps]
    return []


def _moves(leaf: Leaf) -> bool:
    if isinstance(leaf, Happened):
        return moves(leaf.aggregate) or _now(leaf.test)
    if isinstance(leaf, Sequence):
        waits = leaf.lookback is not None or any(step.negate and step is leaf.steps[-1] for step in leaf.steps)
        return waits or any(_relative(step.where) for step in leaf.steps)
    if isinstance(leaf, Trait | Field):
        return _now(leaf.test)
    return isinstance(leaf, Measured | Consent)


def _now(test: Test) -> bool:
    return test.operator in ("within_last", "within_next")


def _relative(where: Where | Property | None) -> bool:
    if isinstance(where, Where):
        return any(_relative(part) for part in where.parts)
    return where is not None and _now(where.test)
