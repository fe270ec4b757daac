"""From an identifier to its person, and from a person to its identifiers."""

from collections.abc import Iterable
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection

from cdp.core.bulk import Database
from cdp.core.errors import Invalid
from cdp.identities.models import Identifier
from cdp.identities.rules import Kind, Rules, digests, load_rules
from cdp.identities.value import open_identifier
from cdp.profiles.models import Profile


class IdentifierView(msgspec.Struct, frozen=True):
    """An identifier in clear, for whoever may see it."""

    id: int
    type: str
    namespace: str
    value: str
    profile_id: int
    first_seen: int
    verified_at: int | None
    primary: bool
    trusted: bool
    linking: bool
    personal: bool
    provider: str
    metadata: dict[str, Any]


def current_rules() -> Rules:
    """The rules now, on Django's connection."""
    connection.ensure_connection()
    db = Database(connection.connection, postgres=connection.vendor == "postgresql")
    return load_rules(db, region=settings.DEFAULT_PHONE_REGION)


def known_kind(rules: Rules, code: str, namespace: str = "") -> tuple[Kind, str]:
    """The type and namespace that a caller of the API names. Raises Invalid with the names there are."""
    name = code.strip().lower()
    if name in ("external_id", "external"):
        return rules.kinds["external"], namespace[:100]
    if name.startswith("external:"):
        return rules.kinds["external"], name.removeprefix("external:")[:100]
    if name not in rules.kinds:
        names = ", ".join(sorted(kind.upper() for kind in rules.kinds))
        raise Invalid(f"{code[:40]!r} is no identifier type. Use one of: {names}.", code="unknown_identifier_type")
    return rules.kinds[name], ""


def find_person(code: str, value: str, namespace: str = "") -> Profile | None:
    """The first profile of the person that owns the identifier, or None.

    A linking identifier names one person. Of one that is kept for look-up only, the profile seen with it last answers.
    """
    rules = current_rules()
    kind, space = known_kind(rules, code, namespace)
    text = rules.spelling(kind, value)
    if text is None:
        return None
    row = (
        Identifier.objects.filter(digest__in=digests(settings.KEYRING, kind, space, text))
        .select_related("profile__person")
        .order_by("-linking", "-first_seen", "-id")
        .first()
    )
    return row.profile.person if row else None


def identifiers_of(person_id: int) -> list[IdentifierView]:
    """Every identifier of a person, strongest type first: one query."""
    return identifiers_of_people([person_id])[person_id]


def identifiers_of_people(people: Iterable[int]) -> dict[int, list[IdentifierView]]:
    """`identifiers_of` for several people: one query."""
    views: dict[int, list[IdentifierView]] = {person_id: [] for person_id in people}
    rows = (
        Identifier.objects.filter(profile__person_id__in=views)
        .select_related("type", "profile")
        .order_by("type__priority", "first_seen", "id")
    )
    for row in rows:
        body = open_identifier(row.body)
        views[row.profile.person_id].append(
            IdentifierView(
                id=row.pk,
                type=row.type.code,
                namespace=row.namespace,
                value=body.value,
                profile_id=row.profile_id,
                first_seen=row.first_seen,
                verified_at=row.verified_at,
                primary=row.primary,
                trusted=row.trusted,
                linking=row.linking,
                personal=row.type.personal,
                provider=body.provider,
                metadata=body.metadata or {},
            )
        )
    return views
