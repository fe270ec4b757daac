"""From what somebody types to people: by any identifier, in any spelling of it, or by any id of a profile."""

import time
import uuid

from django.conf import settings

from cdp.identities.lookup import current_rules
from cdp.identities.models import Identifier
from cdp.identities.rules import Kind, Rules, digests
from cdp.profiles.models import Profile

MOST = 200
_KEEP_SECONDS = 300.0
_kept: tuple[float, tuple[str, ...]] = (0.0, ())


def people_found(term: str) -> list[int]:
    """The internal ids of the people that `term` finds, at most `MOST`.

    `term` is a profile's public id (of any fragment), or the value of an identifier of any type, personal or not: it
    is normalised and looked up by its blind index. An external id may be written `namespace:value`; without one every
    namespace is asked, after all else has found nobody.
    """
    text = term.strip()
    if not text:
        return []
    by_id = _by_public_id(text)
    if by_id:
        return by_id
    rules = current_rules()
    wanted = [found for kind in rules.kinds.values() for found in _digests(rules, kind, "", text)]
    namespace, colon, value = text.partition(":")
    if colon:
        wanted += _digests(rules, rules.kinds["external"], namespace, value)
    people = _owners(wanted)
    if people:
        return people
    external = rules.kinds["external"]
    spaces = external_namespaces(external)
    return _owners([found for space in spaces for found in _digests(rules, external, space, text)])


def _by_public_id(text: str) -> list[int]:
    try:
        wanted = uuid.UUID(text)
    except ValueError:
        return []
    return list(Profile.objects.filter(public_id=wanted).values_list("person_id", flat=True))


def _digests(rules: Rules, kind: Kind, namespace: str, value: str) -> list[bytes]:
    spelling = rules.spelling(kind, value)
    return [] if spelling is None else digests(settings.KEYRING, kind, namespace, spelling)


def _owners(wanted: list[bytes]) -> list[int]:
    rows = Identifier.objects.filter(digest__in=wanted).order_by("-id").values_list("profile__person_id", flat=True)
    return list(dict.fromkeys(rows[:MOST]))


def external_namespaces(external: Kind) -> tuple[str, ...]:
    """The namespaces in use; reading them visits every identifier, so they are kept for some minutes."""
    global _kept  # noqa: PLW0603 - a cache of one value
    now = time.monotonic()
    if now > _kept[0]:
        rows = Identifier.objects.filter(type_id=external.id).order_by().values_list("namespace", flat=True).distinct()
        _kept = now + _KEEP_SECONDS, tuple(rows)
    return _kept[1]


def forget_namespaces() -> None:
    """Read the namespaces again at the next search."""
    global _kept  # noqa: PLW0603
    _kept = (0.0, ())
