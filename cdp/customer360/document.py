"""The profile document of 003: external ids, attributes, computed values, consent, segments."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from cdp.consents.state import ConsentState, consents_by_person
from cdp.core.clock import iso
from cdp.customer360.masking import Clear, is_hidden, shown
from cdp.customer360.parts import Parts, parts_of_people
from cdp.customer360.view import contact, identity_value
from cdp.profiles.models import Profile
from cdp.segments.members import segments_of

_ATTRIBUTES = ("firstName", "lastName", "country", "city", "postalCode", "tags")
_ALIASES = {"firstName": ("first_name",), "lastName": ("last_name",), "postalCode": ("postal_code",)}
_NOT_CUSTOM = {*_ATTRIBUTES, "email", "phone", "customFields", "first_name", "last_name", "postal_code"}
_CONSENTS = {"email": "MARKETING_EMAIL", "sms": "MARKETING_SMS", "tracking": "ANALYTICS_TRACKING"}


class Computed(msgspec.Struct, frozen=True, rename="camel"):
    """What is counted. `ltv` and `aov` are in units of `currency`; what is not known is left out."""

    first_seen_date: str
    last_seen_date: str
    purchase_count: int
    engagement_score: int
    ltv: float | UnsetType = UNSET
    aov: float | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    last_purchase_date: str | UnsetType = UNSET


class ConsentPreferences(msgspec.Struct, frozen=True, rename="camel"):
    """003's consent: what was never said is left out."""

    updated_at: str
    email: bool | UnsetType = UNSET
    sms: bool | UnsetType = UNSET
    tracking: bool | UnsetType = UNSET


class ProfileDocument(msgspec.Struct, frozen=True, rename="camel"):
    """003's Customer Profile. Attributes, external ids and consents that are not known are left out."""

    id: str
    external_ids: dict[str, Any]
    attributes: dict[str, Any]
    computed: Computed
    consent: ConsentPreferences
    segments: list[str]
    created_at: str
    updated_at: str


def profile_document(person: Profile, *, now: int, clear: Clear) -> ProfileDocument:
    """003's document of `person` at `now` (µs), masked unless `clear`: six queries, a seventh after a merge."""
    return profile_documents([person], now=now, clear=clear)[0]


def profile_documents(people: Sequence[Profile], *, now: int, clear: Clear) -> list[ProfileDocument]:
    """003's documents of `people`, in their order, in the same number of queries as for one."""
    read = parts_of_people(people, now=now)
    states = consents_by_person([parts.fragment_ids for parts in read], now=now)
    segments = segments_of(person.pk for person in people)
    return [
        _document(parts, said, segments[parts.person.pk], clear=clear) for parts, said in zip(read, states, strict=True)
    ]


def _document(parts: Parts, states: list[ConsentState], segments: list[str], *, clear: Clear) -> ProfileDocument:
    return ProfileDocument(
        id=str(parts.person.public_id),
        external_ids=_external_ids(parts, clear=clear),
        attributes=_attributes(parts, clear=clear),
        computed=_computed(parts),
        consent=consent_preferences(states, default=parts.totals.created_at),
        segments=segments,
        created_at=iso(parts.totals.created_at),
        updated_at=iso(parts.totals.updated_at),
    )


def _external_ids(parts: Parts, *, clear: Clear) -> dict[str, Any]:
    """`customerId` is the user id; an external id of the namespace `shopify` is `shopifyId`."""
    found: dict[str, Any] = {}
    for name, code in (("customerId", "user_id"), ("email", "email"), ("phone", "phone")):
        identifier = parts.identifier(code)
        if identifier:
            found[name] = identity_value(identifier, clear=clear)
    for identifier in parts.identifiers:
        if identifier.type == "external" and identifier.namespace:
            found.setdefault(_external_name(identifier.namespace), identity_value(identifier, clear=clear))
    devices = [identity_value(i, clear=clear) for i in parts.identifiers if i.type == "device_id"]
    return found | ({"deviceIds": devices} if devices else {})


def _external_name(namespace: str) -> str:
    return namespace if namespace.lower().endswith("id") else f"{namespace}Id"


def _attributes(parts: Parts, *, clear: Clear) -> dict[str, Any]:
    address = parts.trait("address")
    values = {name: parts.trait(name, *_ALIASES.get(name, ())) for name in _ATTRIBUTES}
    for name in ("country", "city", "postalCode"):
        if values[name] is None and isinstance(address, dict):
            values[name] = address.get(name)
    values["email"], values["phone"] = contact(parts, "email"), contact(parts, "phone")
    given = parts.trait("customFields")
    others = parts.record.values.keys() - _NOT_CUSTOM
    custom = {key: parts.record.values[key].value for key in sorted(others) if not is_hidden(key, clear)}
    values["customFields"] = {**(given if isinstance(given, dict) else {}), **custom} or None
    seen = {key: value for key, value in values.items() if value is not None and not is_hidden(key, clear)}
    return {key: shown(key, value, clear=clear) for key, value in seen.items()}


def _computed(parts: Parts) -> Computed:
    value, totals = parts.value, parts.totals
    return Computed(
        first_seen_date=iso(totals.first_seen),
        last_seen_date=iso(totals.last_seen),
        purchase_count=totals.purchases,
        engagement_score=parts.engagement.overall,
        ltv=value.current if value.currency else UNSET,
        aov=UNSET if value.average is None else value.average,
        currency=value.currency or UNSET,
        last_purchase_date=UNSET if totals.last_purchase is None else iso(totals.last_purchase),
    )


def consent_preferences(states: list[ConsentState], *, default: int) -> ConsentPreferences:
    """What was never said is left out; without any statement `updatedAt` is `default` (µs)."""
    by_type = {state.type: state for state in states}
    said = {name: by_type[kind].granted for name, kind in _CONSENTS.items() if kind in by_type}
    return ConsentPreferences(updated_at=iso(max((state.at for state in states), default=default)), **said)
