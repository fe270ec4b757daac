"""Calculated fields: saving them, and their values for one person."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from django.db import transaction

from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.lake.fields.evaluate import evaluate
from cdp.lake.fields.parse import parse
from cdp.lake.fields.tree import FieldError, Kind, Name, Value, names_in
from cdp.lake.measures import MEASURES
from cdp.traits.catalogue import catalogue, forget_catalogue, in_order, is_personal, names_of
from cdp.traits.models import CalculatedField, ComputedTrait, TraitDefinition

KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class FieldDefinition(msgspec.Struct, frozen=True):
    """What a calculated field is to be."""

    key: str
    expression: str
    description: str = ""
    owner: str = ""


def save_field(definition: FieldDefinition, *, field: CalculatedField | None = None) -> CalculatedField:
    """Make a calculated field, or change `field`. Raises Invalid, FieldError with the position, Conflict."""
    check_key(definition.key, besides=field)
    with transaction.atomic():
        kind = checked_kind(definition, replaced=field)
        row = field or CalculatedField()
        row.key, row.expression, row.kind = definition.key, definition.expression, kind
        row.description, row.owner = definition.description[:300], definition.owner[:100]
        row.save()
    forget_catalogue()
    return row


def delete_field(field: CalculatedField) -> None:
    """Delete a calculated field. Raises Conflict when another one names it."""
    refuse_if_used(field.key)
    field.delete()
    forget_catalogue()


def users_of(key: str) -> list[str]:
    """The calculated fields that name the field or computed trait `key`."""
    forget_catalogue()
    return [name for name, tree in catalogue().calculated.items() if any(used.key == key for used in names_in(tree))]


def refuse_if_used(key: str) -> None:
    """Raises Conflict when a calculated field names `key`."""
    if users := users_of(key):
        raise Conflict(f"The calculated field {', '.join(users)} uses it: change that first.", code="in_use")


def field_of(key: str) -> CalculatedField:
    """The calculated field of that key. Raises NotFound."""
    found = CalculatedField.objects.filter(key=key).first()
    if found is None:
        raise NotFound("There is no calculated field of that key.")
    return found


def check_key(key: str, *, besides: CalculatedField | ComputedTrait | None = None) -> None:
    """That `key` may be that of a derived trait. Raises Invalid, or Conflict when something else has it."""
    if not KEY.fullmatch(key):
        message = "A key has letters, digits and _, begins with a letter, and has at most 100 characters."
        raise Invalid(message, code="bad_trait_key", details={"path": "key"})
    if is_personal(key, None):
        message = "This key looks personal. What is derived is used in segments: give it another name."
        raise Invalid(message, code="bad_trait_key", details={"path": "key"})
    if key in MEASURES:
        raise Conflict("A built-in measure has this key.", code="key_taken", details={"path": "key"})
    for model in (TraitDefinition, CalculatedField, ComputedTrait):
        rows = model.objects.filter(key__iexact=key)
        if isinstance(besides, model):
            rows = rows.exclude(pk=besides.pk)
        if rows.exists():
            message = f"The catalogue has this key already: {model._meta.verbose_name}."
            raise Conflict(message, code="key_taken", details={"path": "key"})


def checked_kind(definition: FieldDefinition, *, replaced: CalculatedField | None = None) -> Kind:
    """The kind of the values of an expression. Raises FieldError for it, or for a field that it would break."""
    rows = CalculatedField.objects.exclude(key=replaced.key if replaced else "")
    kinds: dict[str, Any] = dict(CalculatedField.objects.values_list("key", "kind"))
    known = catalogue()
    own = parse(definition.expression, names_of(known, kinds))
    if replaced is not None:
        del kinds[replaced.key]
    names = names_of(known, {**kinds, definition.key: own.kind})
    trees = {}
    for key, expression in rows.values_list("key", "expression"):
        try:
            trees[key] = parse(expression, names)
        except FieldError as error:
            if replaced is not None and _names_it(expression, replaced.key):
                raise Conflict(f"The calculated field {key} uses it: {error.message}", code="in_use") from error
    in_order({**trees, definition.key: own})
    return own.kind


def calculated_values(given: Mapping[str, Value], *, now: int) -> dict[str, Value]:
    """The values of all calculated fields at `now` (µs) over the values by key that a person has; without the missing.

    `given` has traits, measures and computed traits.
    """
    values = dict(given)
    found: dict[str, Value] = {}
    for key, tree in catalogue().calculated.items():
        value = evaluate(tree, values, now=now)
        if value is not None:
            found[key] = values[key] = value
        else:
            values.pop(key, None)
    return found


def given_values(
    facts: Mapping[str, Mapping[str, Any]], measures: Mapping[str, Value], computed: Mapping[str, Value]
) -> dict[str, Value]:
    """What the expressions of the catalogue name, of one person: `facts` are trait values by kind and key."""
    found: dict[str, Value] = {}
    for tree in catalogue().calculated.values():
        for name in names_in(tree):
            value = _given(name, facts, measures, computed)
            if value is not None:
                found[name.key] = tuple(value) if isinstance(value, list) else value
    return found


def _given(
    name: Name, facts: Mapping[str, Mapping[str, Any]], measures: Mapping[str, Value], computed: Mapping[str, Value]
) -> Any:
    if name.origin == "trait":
        return facts.get(name.kind, {}).get(name.key)
    return {"measure": measures, "computed": computed, "calculated": {}}[name.origin].get(name.key)


def _names_it(expression: str, key: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(key)}(?!\w)", expression) is not None
