"""From an identifier to its person, and from a person to its identifiers."""

from collections.abc import Iterable
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection

from cdp.access.reading import rows_in
from cdp.core.bulk import Database
from cdp.core.errors import Invalid
from cdp.identities.models import Identifier
from cdp.identities.rules import Kind, Rules, digests, load_rules
from cdp.identities.value import open_identifier
from cdp.profiles.models import Profile

_OF_PEOPLE = """
    select p.person_id, i.id, t.code, i.namespace, i.profile_id, i.first_seen, i.verified_at,
           i."primary", i.trusted, i.linking, t.personal, i.body
    from profiles_profile p
    join identities_identifier i on i.profile_id = p.id
    join identities_identifiertype t on t.id = i.type_id
    where p.person_id in {in}
    order by t.priority, i.first_seen, i.id"""


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
    for row in rows_in(_OF_PEOPLE, views):
        person_id, row_id, code, namespace, profile_id, first_seen, verified_at = row[:7]
        primary, trusted, linking, personal, sealed = row[7:]
        body = open_identifier(sealed)
        views[person_id].append(
            IdentifierView(
                id=row_id,
                type=code,
                namespace=namespace,
                value=body.value,
                profile_id=profile_id,
                first_seen=first_seen,
                verified_at=verified_at,
                primary=bool(primary),
                trusted=bool(trusted),
                linking=bool(linking),
                personal=bool(personal),
                provider=body.provider,
                metadata=body.metadata or {},
            )
        )
    return views
