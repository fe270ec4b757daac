"""Traits that the API or a person in the admin sets and deletes."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from cdp.access.source import SourceRef
from cdp.core.clock import now_us
from cdp.core.errors import Invalid, NotFound
from cdp.pipeline.erased import require_traits_not_suppressed
from cdp.pipeline.lease import exclusive, mark_described
from cdp.profiles.people import fragment_ids, person_of
from cdp.traits.apply import MAX_KEY_LENGTH, MAX_KEYS, load_documents, store_documents
from cdp.traits.document import TraitValue
from cdp.traits.models import TraitDefinition


class TraitWrite(msgspec.Struct, frozen=True):
    """One trait to set; times in microseconds, `label` is 001's free `source`. `verified` ones win."""

    key: str
    value: Any
    type: str = ""
    label: str = ""
    computed_at: int | None = None
    expires_at: int | None = None
    metadata: dict[str, Any] | None = None
    verified: bool = False


def set_traits(profile: uuid.UUID, traits: Sequence[TraitWrite], *, source: SourceRef) -> None:
    """Set traits of a person, all or none. Holds the processing fence. Raises NotFound, Invalid, Suppressed."""
    now = now_us()
    for trait in traits:
        if not 0 < len(trait.key) <= MAX_KEY_LENGTH or "\0" in trait.key:
            raise Invalid(f"A trait key has from 1 to {MAX_KEY_LENGTH} characters.", code="bad_trait_key")
        if trait.type and trait.type not in TraitDefinition.Type.values:
            names = ", ".join(TraitDefinition.Type.values)
            raise Invalid(f"{trait.type[:40]!r} is no trait type. Use one of: {names}.", code="bad_trait_type")
    with exclusive() as db:
        require_traits_not_suppressed(db, {trait.key: trait.value for trait in traits})
        person = person_of(profile)
        document = load_documents(db, [person.pk]).get(person.pk, {})
        for trait in traits:
            document[trait.key] = TraitValue(
                trait.value,
                now,
                source.id,
                source.priority,
                type=trait.type,
                label=trait.label,
                computed_at=trait.computed_at,
                expires_at=trait.expires_at,
                metadata=trait.metadata,
                verified=trait.verified,
            )
        if len(document) > MAX_KEYS:
            raise Invalid(f"A profile holds at most {MAX_KEYS} traits.", code="too_many_traits")
        store_documents(db, {person.pk: document}, now=now)
        mark_described(db, [person.pk], now=now)


def delete_trait(profile: uuid.UUID, key: str) -> None:
    """Delete a trait from every profile of a person. Holds the processing fence. Raises NotFound."""
    now = now_us()
    with exclusive() as db:
        person = person_of(profile)
        documents = load_documents(db, fragment_ids(person.pk))
        holding = {profile_id: document for profile_id, document in documents.items() if key in document}
        if not holding:
            raise NotFound("The person has no such trait.")
        for document in holding.values():
            del document[key]
        store_documents(db, holding, now=now)
        mark_described(db, holding, now=now)
