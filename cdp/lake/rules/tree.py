"""Rules as frozen, typed trees. `cdp.lake.rules.parse` makes them, `canonical` writes them as JSON again.

Nodes compare and hash by value: what several rules ask for alike is computed once.
"""

from typing import Literal

import msgspec

Kind = Literal["number", "text", "flag", "time", "list", "any"]
"""What values a test reads. `any`: whatever is there (`exists`), or a text or a list (`contains`)."""


class Moment(msgspec.Struct, frozen=True):
    """A time as the rule says it: ISO 8601. A date without a time is that whole day."""

    text: str


Scalar = float | str | bool | Moment
Value = Scalar | int | tuple[Scalar, ...] | None


class Test(msgspec.Struct, frozen=True):
    """`operator` (one of `operators.OPERATORS`) against `value`, over values of `kind`.

    `value`: a scalar; a tuple for `in`, `not_in` and `between`; microseconds (int) for `within_last` and `within_next`;
    None for `exists` and `not_exists`.
    """

    __test__ = False  # not a test of pytest's

    operator: str
    kind: Kind
    value: Value = None


class Trait(msgspec.Struct, frozen=True):
    """A trait of the person. `key` is dotted for nested objects."""

    key: str
    test: Test


class Field(msgspec.Struct, frozen=True):
    """A fact of the profile row: `createdAt`."""

    name: str
    test: Test


class Measured(msgspec.Struct, frozen=True):
    """A built-in measure (`cdp.lake.measures`)."""

    name: str
    test: Test


class Match(msgspec.Struct, frozen=True):
    """Which events: those of `type` (of the vocabulary), or, without one, those called exactly `name`."""

    name: str
    type: str | None = None


class Property(msgspec.Struct, frozen=True):
    """A property of an event in a `where`. `column`: its typed column, if it has one."""

    name: str
    test: Test
    column: str | None = None


class Where(msgspec.Struct, frozen=True):
    """AND, OR or NOT (of all of them together) over properties."""

    operator: Literal["AND", "OR", "NOT"]
    parts: "tuple[Where | Property, ...]"


class Window(msgspec.Struct, frozen=True):
    """Which times count. `within`: the last so many µs; `period`: a calendar period; `tests` on the event's time.

    All that are given hold together; events after now never count.
    """

    within: int | None = None
    period: str | None = None
    tests: tuple[Test, ...] = ()


class Source(msgspec.Struct, frozen=True):
    """The property that an aggregate reads. `kind` `any` (distinct alone): values of every kind."""

    name: str
    kind: Kind
    column: str | None = None


class Aggregate(msgspec.Struct, frozen=True):
    """One value per person out of their events. `function` is one of `operators.FUNCTIONS`."""

    match: Match
    function: str = "count"
    source: Source | None = None
    where: Where | Property | None = None
    window: Window = Window()

    @property
    def kind(self) -> Kind:
        """The kind of its value."""
        if self.function in ("count", "sum", "avg", "distinct") or self.source is None:
            return "number"
        return "list" if self.function == "unique_list" else self.source.kind

    @property
    def total(self) -> bool:
        """Whether it is 0, not missing, without a matching event."""
        return self.function in ("count", "sum", "distinct")


class Happened(msgspec.Struct, frozen=True):
    """What somebody did, counted or added up. `name`: the computed trait that the rule named instead of the events."""

    aggregate: Aggregate
    test: Test
    name: str | None = None


class Step(msgspec.Struct, frozen=True):
    """A step of a sequence; `after`: the longest gap (µs) to the step before it."""

    match: Match
    where: Where | Property | None = None
    negate: bool = False
    after: int | None = None


class Sequence(msgspec.Struct, frozen=True):
    """Steps one strictly later than the other.

    `within`: the longest time (µs) from the first to the last positive step; `lookback`: how long ago the first may
    be. A negated step is one that did not happen after the positive step before it: before the next positive step
    and, if it has an `after`, not later than that. At the end it is true only when `after` (else `within`) has passed.
    """

    steps: tuple[Step, ...]
    within: int | None = None
    lookback: int | None = None


class Consent(msgspec.Struct, frozen=True):
    """Whether a consent is in force now. Not granted is what was denied, has run out or was never given."""

    type: str
    granted: bool = True


class Member(msgspec.Struct, frozen=True):
    """Whether the person is a member of another segment, by its key."""

    segment: str
    member: bool = True


class PersonalLeaf(msgspec.Struct, frozen=True):
    """A question about a personal field that only the operational store can answer: a list of ids of people.

    `=` and `in` have `values`; `exists` has none.
    """

    field: str
    operator: Literal["=", "in", "exists"]
    values: tuple[Scalar, ...] = ()


class Personal(msgspec.Struct, frozen=True):
    """Who is, or with `holds` false is not, in the answer to `leaf`."""

    leaf: PersonalLeaf
    holds: bool = True


Leaf = Trait | Field | Measured | Happened | Sequence | Consent | Member | Personal


class Group(msgspec.Struct, frozen=True):
    """AND, OR, or NOT (not all of them together)."""

    operator: Literal["AND", "OR", "NOT"]
    parts: "tuple[Group | Leaf, ...]"


Rule = Group | Leaf
