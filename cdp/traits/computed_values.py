"""The values of computed traits, as they are kept: one JSON text per person and trait."""

from collections.abc import Iterable
from typing import Any

import msgspec

from cdp.access.reading import rows_in
from cdp.core.json import decode
from cdp.traits.catalogue import catalogue

_VALUES = "select person_id, trait_id, value, computed_at from traits_computedvalue where person_id in {in}"


class ComputedNow(msgspec.Struct, frozen=True):
    """A value, and when it was computed (µs)."""

    value: Any
    computed_at: int


def computed_of_people(people: Iterable[int]) -> dict[int, dict[str, ComputedNow]]:
    """Person → key → value of the computed traits: one query, none while none is catalogued."""
    keys = {trait.id: key for key, trait in catalogue().computed.items()}
    found: dict[int, dict[str, ComputedNow]] = {}
    for person, trait, value, at in rows_in(_VALUES, people) if keys else []:
        if trait in keys:
            found.setdefault(person, {})[keys[trait]] = ComputedNow(decode(value), at)
    return found
