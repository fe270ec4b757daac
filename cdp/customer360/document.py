"""The profile document of 003: external ids, attributes, computed values, consent, segments."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from cdp.consents.state import ConsentState, consents_of
from cdp.core.clock import iso
from cdp.customer360.masking import shown
from cdp.customer360.parts import Parts, parts_of
from cdp.customer360.view import contact, identity_value
from cdp.profiles.models import Profile

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


class ProfileDocument(msgspec.Struct, frozen=True, rename="camel"):
    """003's Customer Profile. Attributes, external ids and consents that are not known are left out."""

    id: str
    external_ids: dict[str, Any]
    attributes: dict[str, Any]
    computed: Computed
    consent: dict[str, Any]
    segments: list[str]
    created_at: str
    updated_at: str


def profile_document(person: Profile, *, now: int, clear: bool) -> ProfileDocument:
    """003's document of `person` at `now` (µs), masked unless `clear`: five queries, a sixth after a merge."""
    parts = parts_of(person, now=now)
    return ProfileDocument(
        id=str(person.public_id),
        external_ids=_external_ids(parts, clear=clear),
        attributes=_attributes(parts, clear=clear),
        computed=_computed(parts),
        consent=_consent(parts, consents_of(parts.fragment_ids, now=now)),
        segments=[],
        created_at=iso(parts.totals.created_at),
        updated_at=iso(parts.totals.updated_at),
    )


def _external_ids(parts: Parts, *, clear: bool) -> dict[str, Any]:
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


def _attributes(parts: Parts, *, clear: bool) -> dict[str, Any]:
    address = parts.trait("address")
    values = {name: parts.trait(name, *_ALIASES.get(name, ())) for name in _ATTRIBUTES}
    for name in ("country", "city", "postalCode"):
        if values[name] is None and isinstance(address, dict):
            values[name] = address.get(name)
    values["email"], values["phone"] = contact(parts, "email"), contact(parts, "phone")
    given = parts.trait("customFields")
    custom = {key: value.value for key, value in parts.record.values.items() if key not in _NOT_CUSTOM}
    values["customFields"] = {**(given if isinstance(given, dict) else {}), **custom} or None
    return {key: shown(key, value, clear=clear) for key, value in values.items() if value is not None}


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


def _consent(parts: Parts, states: list[ConsentState]) -> dict[str, Any]:
    """What was never said is left out; `updatedAt` is then when the profile was made."""
    by_type = {state.type: state for state in states}
    said = {name: by_type[kind].granted for name, kind in _CONSENTS.items() if kind in by_type}
    return {**said, "updatedAt": iso(max((state.at for state in states), default=parts.totals.created_at))}
