"""What an expression of a calculated field is once it is read: a typed tree. Missing is a value of every kind."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal as OneOf

import msgspec

from cdp.core.errors import Invalid

Kind = OneOf["number", "text", "flag", "time", "list"]
Origin = OneOf["trait", "measure", "computed", "calculated"]
Value = float | str | bool | int | tuple[str, ...] | None
"""number is float, time int (µs), list a tuple of texts; None is missing."""

MAX_LENGTH = 2000
MAX_NODES = 200
MAX_DEPTH = 20


class FieldError(Invalid):
    """An expression that cannot be used: what is wrong, what would be right, and `position`, from 1."""

    code = "invalid_expression"

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, details={"path": "expression", "position": position + 1})
        self.position = position


class Constant(msgspec.Struct, frozen=True):
    """A number, text, truth value or time that stands in the expression."""

    kind: Kind
    value: float | str | bool | int


class Name(msgspec.Struct, frozen=True):
    """The value of a person under `key`: a trait, a measure, a computed trait or another calculated field."""

    kind: Kind
    origin: Origin
    key: str


class Call(msgspec.Struct, frozen=True):
    """A function or operator of `cdp.lake.fields.functions` applied to values."""

    kind: Kind
    function: str
    arguments: tuple["Node", ...]


Node = Constant | Name | Call


class Names(msgspec.Struct, frozen=True):
    """What an expression may name, by key with its kind, and what it may not because it is personal."""

    traits: Mapping[str, Kind] = {}
    measures: Mapping[str, Kind] = {}
    computed: Mapping[str, Kind] = {}
    calculated: Mapping[str, Kind] = {}
    personal: Callable[[str], bool] = lambda _key: False

    def find(self, key: str) -> Name | None:
        """The name of `key`, or None when nothing of that key is known."""
        origins: tuple[tuple[Origin, Mapping[str, Kind]], ...] = (
            ("trait", self.traits),
            ("measure", self.measures),
            ("computed", self.computed),
            ("calculated", self.calculated),
        )
        return next((Name(known[key], origin, key) for origin, known in origins if key in known), None)

    def all(self) -> list[str]:
        """Every key."""
        return [*self.traits, *self.measures, *self.computed, *self.calculated]


def names_in(node: Node) -> Iterator[Name]:
    """Every name in a tree, in its order, some of them more than once."""
    if isinstance(node, Name):
        yield node
    elif isinstance(node, Call):
        for argument in node.arguments:
            yield from names_in(argument)
