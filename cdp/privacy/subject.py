"""Whom a request is about: from any identifiers to one person."""

import hmac
from collections.abc import Mapping

import msgspec
from django.conf import settings

from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.identities.lookup import current_rules, known_kind
from cdp.identities.models import Identifier
from cdp.identities.rules import Rules, digests, indexed
from cdp.privacy.models import PrivacyRequest
from cdp.profiles.models import Profile
from cdp.profiles.people import person_of

MOST = 20
"""Identifiers that one request may name."""
_MAX_LENGTH = 200
PROFILE = "profile_id"
"""The id of a profile, which is no identifier of the identity graph."""
_NAMES = {
    "userid": "user_id", "customerid": "user_id", "anonymousid": "anonymous_id", "deviceid": "device_id",
    "cookieid": "cookie_id", "cookie": "cookie_id", "device": "device_id", "sessionid": "session_id",
    "ipaddress": "ip_address", "externalid": "external", "profileid": PROFILE,
}  # fmt: skip


class Subject(msgspec.Struct, frozen=True):
    """`person` is the first profile of the person, or None for nobody that is known.

    `identifiers` are normalised, by type (`external:shopify` with the namespace); `digest` stands for all of them under
    a key that never rotates.
    """

    person: Profile | None
    identifiers: dict[str, str]
    digest: bytes


def subject_of(identifiers: Mapping[str, str]) -> Subject:
    """Whom `identifiers` mean; names in camelCase or snake_case. One query for each of them, and one for the rules.

    Raises Invalid for what cannot be an identifier, Conflict when they belong to different people, or when one that is
    kept for look-up only was seen with several.
    """
    rules = current_rules()
    spelt = spelt_identifiers(identifiers, rules=rules)
    people: dict[int, Profile] = {}
    for name, text in spelt.items():
        owners = _owners(rules, name, text)
        if len(owners) > 1:
            message = f"Several people were seen with this {name}: name one that belongs to one person alone."
            raise Conflict(message, code="ambiguous_identifier", details={"path": f"identifiers.{name}"})
        people |= owners
    if len(people) > 1:
        message = "These identifiers belong to different people: make a request for each, or merge them first."
        raise Conflict(message, code="different_people", details={"path": "identifiers"})
    return Subject(next(iter(people.values()), None), spelt, _digest(rules, spelt))


def spelt_identifiers(
    identifiers: Mapping[str, str], *, rules: Rules | None = None, path: str = "identifiers"
) -> dict[str, str]:
    """The identifiers by our name of their type, each in the spelling that is compared. Raises Invalid."""
    if not 0 < len(identifiers) <= MOST:
        message = f"Say whom it is about: from 1 to {MOST} identifiers, such as userId, email, phone or profileId."
        raise Invalid(message, code="no_identifier", details={"path": path})
    known = rules or current_rules()
    spelt: dict[str, str] = {}
    for given, value in identifiers.items():
        name = _name(given)
        text = value.strip() if name == PROFILE else _spelling(known, name, value, path=f"{path}.{given}")
        if spelt.setdefault(name, text) != text:
            message = f"Two different values are given for {name}."
            raise Invalid(message, code="different_people", details={"path": f"{path}.{given}"})
    return spelt


def person_now(request: PrivacyRequest, identifiers: Mapping[str, str]) -> Profile | None:
    """Whom the request is about today: after merges the whole person; who was not known then may be now."""
    if request.person_id is not None:
        fragment = Profile.objects.select_related("person").filter(pk=request.person_id).first()
        return fragment.person if fragment is not None else None
    return subject_of(identifiers).person if identifiers else None


def _name(given: str) -> str:
    name = given.strip().lower()
    if name.startswith("external:"):
        return name
    return _NAMES.get(name.replace("_", ""), name)


def _spelling(rules: Rules, name: str, value: str, *, path: str) -> str:
    try:
        kind, _ = known_kind(rules, name)
    except Invalid as error:
        raise Invalid(error.message, code=error.code, details={"path": path}) from None
    text = rules.spelling(kind, value) if len(value) <= _MAX_LENGTH else None
    if text is None:
        message = f"This value cannot be a {kind.code}: it is blocked, too long or not well formed."
        raise Invalid(message, code="unusable_identifier", details={"path": path})
    return text


def _owners(rules: Rules, name: str, text: str) -> dict[int, Profile]:
    """The people that the identifier belongs to; of one that links people there is one at most."""
    if name == PROFILE:
        try:
            person = person_of(text)
        except NotFound:
            return {}
        return {person.pk: person}
    kind, space = known_kind(rules, name)
    rows = list(
        Identifier.objects.filter(digest__in=digests(settings.KEYRING, kind, space, text))
        .select_related("profile__person")
        .order_by("-linking", "-first_seen", "-id")[:MOST]
    )
    linking = [row for row in rows if row.linking]
    return {row.profile.person_id: row.profile.person for row in linking[:1] or rows}


def _digest(rules: Rules, spelt: Mapping[str, str]) -> bytes:
    parts = []
    for name, text in sorted(spelt.items()):
        if name == PROFILE:
            parts.append(f"{name}\0\0{text}")
        else:
            kind, space = known_kind(rules, name)
            parts.append(indexed(kind, space, text))
    key = settings.KEYRING.fixed_key("privacy request")
    return hmac.digest(key, "\x01".join(parts).encode("utf-8", "surrogatepass"), "sha256")
