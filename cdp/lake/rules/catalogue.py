"""What a rule may name: given by who knows the installation, so that this room knows no model."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import msgspec

from cdp.lake.rules.tree import Aggregate


class TypedColumn(Protocol):
    """The typed column of a property and the kind of its values."""

    @property
    def column(self) -> str:
        """Its name in `events`."""

    @property
    def kind(self) -> str:
        """number, text, flag, time or list."""


def _never(_key: str, _value: object) -> bool:
    return False


class Catalogue(msgspec.Struct, frozen=True):
    """`traits`: kind (number, text, flag, time, list) by key, of those with a typed column; other keys are read by the
    kind of the value in the rule. `properties`: the typed columns of event properties. `computed`: computed traits.

    `personal`: fields and keys that only the operational store knows; `looks_personal(key, value)` says so of others.
    `types`: the vocabulary of events. `consents`: the types of consent; empty means any. `segments`: the keys that may
    be named; `own` is the key of the segment that the rule is for and `refers` which keys each segment names, so that
    circles are refused.
    """

    traits: Mapping[str, str] = {}
    personal: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    computed: Mapping[str, Aggregate] = {}
    properties: Mapping[str, TypedColumn] = {}
    types: Collection[str] = ()
    consents: frozenset[str] = frozenset()
    looks_personal: Callable[[str, object], bool] = _never
    own: str | None = None
    refers: Mapping[str, Collection[str]] = {}
