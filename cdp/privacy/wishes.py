"""What a rectification wants to have changed, and what an objection is against."""

from collections.abc import Mapping
from typing import Any

import msgspec

from cdp.consents.models import Purpose
from cdp.core.errors import Invalid
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.subject import PROFILE, spelt_identifiers
from cdp.traits.apply import MAX_KEY_LENGTH

MARKETING = "marketing"
"""The group of purposes that an objection without any names is against."""
_MOST = 100
_MAX_BYTES = 32 * 1024


class Wishes(msgspec.Struct, omit_defaults=True):
    """`traits` to set, null to delete; identifiers to add and to remove, by type; `purposes` by code."""

    traits: dict[str, Any] = {}
    identifiers: dict[str, str] = {}
    removed: dict[str, str] = msgspec.field(default_factory=dict, name="removeIdentifiers")
    purposes: list[str] = []


def wishes_of(kind: str, changes: Mapping[str, Any] | None) -> Wishes:
    """What `changes` ask for, checked and in our own spelling. Raises Invalid with the path."""
    try:
        wanted = msgspec.convert(dict(changes or {}), Wishes, strict=True)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `")
        raise Invalid(f"{sentence}.", details={"path": f"changes{path.rstrip('`').removeprefix('$')}"}) from None
    if kind == PrivacyRequest.Kind.OBJECTION:
        _refuse(wanted.traits or wanted.identifiers or wanted.removed, "An objection names `purposes` only.")
        wanted.purposes = purposes_named(wanted.purposes or [MARKETING])
    elif kind == PrivacyRequest.Kind.RECTIFICATION:
        _refuse(wanted.purposes, "Only an objection names purposes.")
        _rectification(wanted)
    else:
        _refuse(changes, "Only a rectification or an objection carries changes.")
    return wanted


def purposes_named(names: list[str]) -> list[str]:
    """The codes of the purposes and groups that `names` name, whatever their case: one query. Raises Invalid."""
    known = list(Purpose.objects.order_by("position", "code"))
    wanted = {name.strip().lower() for name in names}
    spoken = {purpose.code.lower() for purpose in known} | {p.group.lower() for p in known if p.group}
    if strange := sorted(wanted - spoken):
        message = f"{strange[0][:40]!r} is no purpose. Use one of: {', '.join(p.code for p in known)}."
        raise Invalid(message, code="unknown_purpose", details={"path": "changes.purposes"})
    return [p.code for p in known if p.code.lower() in wanted or (p.group and p.group.lower() in wanted)]


def _rectification(wanted: Wishes) -> None:
    if not wanted.traits and not wanted.identifiers and not wanted.removed:
        message = "Say what is to be corrected: `changes.traits`, `changes.identifiers` or `changes.removeIdentifiers`."
        raise Invalid(message, code="no_changes", details={"path": "changes"})
    if len(wanted.traits) > _MOST or len(msgspec.json.encode(wanted)) > _MAX_BYTES:
        message = f"One request corrects at most {_MOST} traits and {_MAX_BYTES} bytes."
        raise Invalid(message, code="too_many_changes", details={"path": "changes"})
    for key in wanted.traits:
        if not 0 < len(key) <= MAX_KEY_LENGTH or "\0" in key:
            message = f"A trait key has from 1 to {MAX_KEY_LENGTH} characters."
            raise Invalid(message, code="bad_trait_key", details={"path": "changes.traits"})
    wanted.identifiers = _spelt(wanted.identifiers, "changes.identifiers")
    wanted.removed = _spelt(wanted.removed, "changes.removeIdentifiers")


def _spelt(identifiers: dict[str, str], path: str) -> dict[str, str]:
    spelt = spelt_identifiers(identifiers, path=path) if identifiers else {}
    if PROFILE in spelt:
        raise Invalid("A profile's own id cannot be changed.", code="unwanted_changes", details={"path": path})
    return spelt


def _refuse(given: object, message: str) -> None:
    if given:
        raise Invalid(message, code="unwanted_changes", details={"path": "changes"})
