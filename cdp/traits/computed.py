"""Computed traits: what each computes, read by the rule language's own parser, and saving them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import F

from cdp.core.errors import NotFound
from cdp.core.json import decode
from cdp.events.vocabulary import TYPES
from cdp.lake.fields.tree import Kind
from cdp.lake.rules.catalogue import Catalogue as RuleCatalogue
from cdp.lake.rules.facts import moves
from cdp.lake.rules.parse import parse_aggregate
from cdp.lake.rules.tree import Aggregate
from cdp.lake.rules.words import aggregate_in_words
from cdp.lake.schema import TYPED_PROPERTIES
from cdp.traits.calculated import check_key, refuse_if_used
from cdp.traits.catalogue import catalogue, forget_catalogue
from cdp.traits.models import ComputedTrait, ComputedValue


class ComputedDefinition(msgspec.Struct, frozen=True):
    """What a computed trait is to be; `definition` is an event leaf of the rule language without operator and value."""

    key: str
    definition: Mapping[str, Any]
    description: str = ""
    owner: str = ""


def aggregate_of(definition: object) -> Aggregate:
    """The aggregate that a definition means. Raises RuleError with the path in the JSON."""
    return parse_aggregate(definition, RuleCatalogue(properties=TYPED_PROPERTIES, types=TYPES))


def aggregates() -> dict[str, Aggregate]:
    """Every computed trait of the catalogue by key."""
    return {key: _read(trait.definition) for key, trait in catalogue().computed.items()}


def save_computed(wanted: ComputedDefinition, *, trait: ComputedTrait | None = None) -> ComputedTrait:
    """Make a computed trait, or change `trait`; a new definition is computed for everybody within seconds.

    Raises RuleError, Invalid, and Conflict when the key is taken or a calculated field needs the old kind.
    """
    check_key(wanted.key, besides=trait)
    aggregate = aggregate_of(dict(wanted.definition))
    row = trait or ComputedTrait()
    kind: Kind = aggregate.kind if aggregate.kind != "any" else "text"
    if trait is not None and (trait.key != wanted.key or trait.kind != kind):
        refuse_if_used(trait.key)
    changed = row.definition != wanted.definition
    row.key, row.definition, row.kind = wanted.key, dict(wanted.definition), kind
    row.words, row.windowed = aggregate_in_words(aggregate), moves(aggregate)
    row.description, row.owner = wanted.description[:300], wanted.owner[:100]
    with transaction.atomic():
        row.save()
        if changed and trait is not None:
            ComputedTrait.objects.filter(pk=row.pk).update(version=F("version") + 1)
    row.refresh_from_db()
    forget_catalogue()
    return row


def ask_for_values() -> None:
    """Have every computed trait computed anew for everybody: events went of which nobody was told."""
    ComputedTrait.objects.update(version=F("version") + 1)


def delete_computed(trait: ComputedTrait) -> None:
    """Delete a computed trait with its values. Raises Conflict while a calculated field names it."""
    refuse_if_used(trait.key)
    with transaction.atomic():
        ComputedValue.objects.filter(trait_id=trait.pk).delete()
        trait.delete()
    forget_catalogue()


def computed_of(key: str) -> ComputedTrait:
    """The computed trait of that key. Raises NotFound."""
    found = ComputedTrait.objects.filter(key=key).first()
    if found is None:
        raise NotFound("There is no computed trait of that key.")
    return found


@lru_cache(maxsize=500)
def _read(definition: str) -> Aggregate:
    return aggregate_of(decode(definition))
