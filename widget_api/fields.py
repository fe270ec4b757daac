"""Which fields of a profile a page is shown: those that the key allows, and of them only some without a token."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cdp.traits.catalogue import is_personal
from integrations.fields import profile_fields
from integrations.standard import ATTRIBUTES


def shown_fields(profile: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, Any]:
    """The fields of `profile` that are in `allowed`, in its order.

    A name with a dot is a field within a group; the name of a group stands for all of its fields.
    """
    shown: dict[str, Any] = {}
    for name in allowed:
        group, _, inner = name.partition(".")
        if not inner and group in profile:
            shown[group] = profile[group]
        elif inner and isinstance(profile.get(group), Mapping) and inner in profile[group]:
            shown.setdefault(group, {})[inner] = profile[group][inner]
    return shown


def without_personal_looks(profile: Mapping[str, Any]) -> dict[str, Any]:
    """`profile` without values that look like an e-mail, a phone or a card number, whatever their field is called."""
    kept: dict[str, Any] = {}
    for name, value in profile.items():
        if isinstance(value, Mapping):
            inner = without_personal_looks(value)
            if inner:
                kept[name] = inner
        elif not any(is_personal("", part) for part in (value if isinstance(value, list) else [value])):
            kept[name] = value
    return kept


def field_names(profile: Mapping[str, Any]) -> Iterator[str]:
    """The dotted names of all fields of `profile`."""
    for name, value in profile.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in field_names(value))
        else:
            yield name


def open_fields() -> list[str]:
    """The fields that are known not to be personal: a few queries."""
    return [name for name, field in profile_fields().items() if not field.personal]


def field_choices(chosen: Sequence[str]) -> list[tuple[str, str]]:
    """Fields to tick, with their labels; also those of `chosen` that the catalogue does not have (any more)."""
    named = {
        name: f"{field.label}{' – personal' if field.personal else ''}" for name, field in profile_fields().items()
    }
    named[ATTRIBUTES] = "All attributes, those too that are not in this list – personal"
    return [*named.items(), *((name, f"{name} – personal") for name in chosen if name not in named)]
