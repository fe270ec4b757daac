"""Customer 360 (P9): everything about one person in one call, in 001's JSON."""

from typing import Any

import msgspec

from cdp.consents.state import ConsentState, consents_of
from cdp.core.clock import iso, iso_or_none
from cdp.customer360.event_view import EventView
from cdp.customer360.journey import JourneyStep, journey_of
from cdp.customer360.masking import Clear, is_hidden, shown, shown_identifier
from cdp.customer360.parts import Parts, parts_of, source_names
from cdp.customer360.score_view import EngagementPart, LifetimePart, ProfileScorePart
from cdp.customer360.timeline import recent_events
from cdp.identities.lookup import IdentifierView
from cdp.profiles.models import Profile
from cdp.segments.members import segments_of
from cdp.traits.catalogue import catalogue
from cdp.traits.golden import GoldenValue
from cdp.traits.models import TraitDefinition

RECENT_EVENTS = 25
_NAMES_001 = {"external": "EXTERNAL_ID"}


class CustomerPart(msgspec.Struct, frozen=True, rename="camel"):
    """Who it is. `last_login_at` is the last LOGIN event; `is_verified` says that any identifier was confirmed."""

    id: str
    email: str | None
    phone_number: str | None
    is_verified: bool
    last_login_at: str | None
    created_at: str


class ProfilePart(msgspec.Struct, frozen=True, rename="camel"):
    """The person's sub-record, from the golden record."""

    date_of_birth: Any
    preferred_contact: Any
    address: Any
    emergency_contact: Any
    preferences: Any


class IdentityPart(msgspec.Struct, frozen=True, rename="camel"):
    """One identifier, under the names of 001."""

    identity_type: str
    identity_value: str
    namespace: str | None
    provider: str | None
    verified_at: str | None
    is_primary: bool
    is_trusted: bool
    metadata: dict[str, Any]
    first_seen_at: str
    profile_id: str


class TraitPart(msgspec.Struct, frozen=True, rename="camel"):
    """One golden value with where it comes from. `computed_at` is when it was computed, or said if it was not."""

    trait_key: str
    trait_value: Any
    trait_type: str | None
    source: str | None
    computed_at: str
    expires_at: str | None
    metadata: dict[str, Any]
    verified: bool
    rule: str
    profile_id: str


class ConsentPart(msgspec.Struct, frozen=True, rename="camel"):
    """The state of one consent type and the statement that made it."""

    consent_type: str
    granted: bool
    source: str | None
    cause: str
    updated_at: str
    expires_at: str | None
    document_version: str | None


class ComputedAt(msgspec.Struct, frozen=True, rename="camel"):
    """When each part was computed. Those that are read from the store at the call carry the time of the call."""

    customer: str
    profile: str
    identities: str
    traits: str
    segments: str
    consents: str
    engagement_score: str
    lifetime_value: str
    profile_score: str
    recent_events: str
    journey_steps: str


class Customer360(msgspec.Struct, frozen=True, rename="camel"):
    """001's answer, with `profile_score` and `computed_at` beside it.

    `segments` are the keys of those that the person is in now.
    """

    customer: CustomerPart
    profile: ProfilePart
    identities: list[IdentityPart]
    traits: list[TraitPart]
    segments: list[str]
    consents: list[ConsentPart]
    engagement_score: EngagementPart
    lifetime_value: LifetimePart
    profile_score: ProfileScorePart
    recent_events: list[EventView]
    journey_steps: list[JourneyStep]
    computed_at: ComputedAt


def customer360(person: Profile, *, now: int, clear: Clear) -> Customer360:
    """Everything about `person` at `now` (µs); personal values are masked unless `clear`.

    Nine queries whatever the person has, a tenth after a merge, and the catalogue once every few seconds. Only where
    the newest events of somebody are so old that they were purged, the lake is read for them too.
    """
    parts = parts_of(person, now=now)
    at = iso(now)
    return Customer360(
        customer=_customer(parts, clear=clear),
        profile=_profile(parts, clear=clear),
        identities=identity_parts(parts, clear=clear),
        traits=trait_parts(parts, clear=clear),
        segments=segments_of([person.pk])[person.pk],
        consents=[consent_part(state) for state in consents_of(parts.fragment_ids, now=now)],
        engagement_score=EngagementPart.of(parts.engagement, now=now),
        lifetime_value=LifetimePart.of(parts.value, now=now),
        profile_score=ProfileScorePart.of(parts),
        recent_events=recent_events(parts.fragment_ids, limit=RECENT_EVENTS, known=parts.totals.events, clear=clear),
        journey_steps=journey_of(parts.fragment_ids),
        computed_at=ComputedAt(*(at for _ in ComputedAt.__struct_fields__)),
    )


def identity_parts(parts: Parts, *, clear: Clear) -> list[IdentityPart]:
    """The person's identifiers, strongest type first."""
    return [_identity(identifier, parts, clear=clear) for identifier in parts.identifiers]


def trait_parts(parts: Parts, *, clear: Clear) -> list[TraitPart]:
    """The golden record and what is derived from it and from events, by key: one query. What is hidden is left out."""
    names = source_names()
    golden = {key: _trait(key, value, parts, names, clear=clear) for key, value in parts.record.values.items()}
    derived = {part.trait_key: part for part in derived_parts(parts, clear=clear)}
    return [part for key, part in sorted({**golden, **derived}.items()) if not is_hidden(key, clear)]


def derived_parts(parts: Parts, *, clear: Clear) -> list[TraitPart]:
    """Computed traits and calculated fields, in the order of their keys."""
    known = catalogue()
    derived = [
        _derived(key, found.value, known.computed[key].kind, parts, "computed", found.computed_at)
        for key, found in parts.computed.items()
    ]
    derived += [
        _derived(key, value, known.calculated[key].kind, parts, "calculated", parts.now)
        for key, value in parts.calculated.items()
    ]
    return sorted((part for part in derived if not is_hidden(part.trait_key, clear)), key=lambda part: part.trait_key)


def identity_type(code: str) -> str:
    """The type as 001 writes it: EMAIL, EXTERNAL_ID, …"""
    return _NAMES_001.get(code, code.upper())


def identity_value(identifier: IdentifierView, *, clear: Clear) -> str:
    """The value, masked when its type is personal or it looks so (a user id can be an e-mail) unless `clear`."""
    return shown_identifier(identifier.type, identifier.value, personal=identifier.personal, clear=clear)


def _customer(parts: Parts, *, clear: Clear) -> CustomerPart:
    return CustomerPart(
        id=str(parts.person.public_id),
        email=shown("email", contact(parts, "email"), clear=clear),
        phone_number=shown("phone", contact(parts, "phone"), clear=clear),
        is_verified=any(identifier.verified_at is not None for identifier in parts.identifiers),
        last_login_at=iso_or_none(parts.activity.last_login),
        created_at=iso(parts.totals.created_at),
    )


def contact(parts: Parts, code: str) -> str | None:
    """The e-mail address or phone number to use: the identifier, else the trait of that name."""
    identifier = parts.identifier(code)
    if identifier:
        return identifier.value
    found = parts.trait(code)
    return None if found is None else str(found)


def _profile(parts: Parts, *, clear: Clear) -> ProfilePart:
    return ProfilePart(
        date_of_birth=shown("dateOfBirth", parts.trait("dateOfBirth", "birthday"), clear=clear),
        preferred_contact=shown("preferredContact", parts.trait("preferredContact"), clear=clear),
        address=shown("address", parts.trait("address"), clear=clear),
        emergency_contact=shown("emergencyContact", parts.trait("emergencyContact"), clear=clear),
        preferences=shown("preferences", parts.trait("preferences"), clear=clear),
    )


def _identity(identifier: IdentifierView, parts: Parts, *, clear: Clear) -> IdentityPart:
    return IdentityPart(
        identity_type=identity_type(identifier.type),
        identity_value=identity_value(identifier, clear=clear),
        namespace=identifier.namespace or None,
        provider=identifier.provider or None,
        verified_at=iso_or_none(identifier.verified_at),
        is_primary=identifier.primary,
        is_trusted=identifier.trusted,
        metadata=shown("", identifier.metadata, clear=clear),
        first_seen_at=iso(identifier.first_seen),
        profile_id=_public_id(parts, identifier.profile_id),
    )


def _trait(key: str, value: GoldenValue, parts: Parts, names: dict[int, str], *, clear: Clear) -> TraitPart:
    return TraitPart(
        trait_key=key,
        trait_value=shown(key, value.value, clear=clear),
        trait_type=value.type or None,
        source=value.label or names.get(value.source_id),
        computed_at=iso(value.at if value.computed_at is None else value.computed_at),
        expires_at=iso_or_none(value.expires_at),
        metadata=shown("", value.metadata or {}, clear=clear),
        verified=value.verified,
        rule=value.rule,
        profile_id=_public_id(parts, value.profile_id),
    )


def _derived(key: str, value: Any, kind: str, parts: Parts, source: str, at: int) -> TraitPart:
    return TraitPart(
        trait_key=key,
        trait_value=iso(value) if kind == "time" else value,
        trait_type=TraitDefinition.Type.COMPUTED,
        source=source,
        computed_at=iso(at),
        expires_at=None,
        metadata={},
        verified=False,
        rule=source,
        profile_id=str(parts.person.public_id),
    )


def _public_id(parts: Parts, profile_id: int) -> str:
    return str(next(fragment.public_id for fragment in parts.fragments if fragment.pk == profile_id))


def consent_part(state: ConsentState) -> ConsentPart:
    """The state of one consent type under the names of 001."""
    return ConsentPart(
        consent_type=state.type,
        granted=state.granted,
        source=state.source or None,
        cause=state.cause,
        updated_at=iso(state.at),
        expires_at=iso_or_none(state.expires_at),
        document_version=state.document or None,
    )
