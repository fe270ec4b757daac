"""Identifiers that a person or the API adds, confirms, prefers or removes."""

import uuid
from typing import Any

import msgspec
from django.conf import settings
from django.db import IntegrityError, connection

from cdp.core.bulk import Database
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.identities.decisions import USE_SENTENCES, Use
from cdp.identities.lookup import known_kind
from cdp.identities.models import Identifier
from cdp.identities.population import LOG, load_population, store_population
from cdp.identities.resolve import Candidate, Resolver
from cdp.identities.rules import Rules, digests, load_rules
from cdp.identities.value import IdentifierBody, open_identifier, seal_identifier
from cdp.pipeline.erased import require_not_suppressed
from cdp.pipeline.lease import exclusive, mark_described
from cdp.profiles.people import fragment_ids, person_of
from cdp.traits.apply import load_documents, store_documents
from cdp.traits.document import Document


def add_identifier(
    profile: uuid.UUID,
    type_code: str,
    value: str,
    *,
    namespace: str = "",
    provider: str = "",
    metadata: dict[str, Any] | None = None,
    verified_at: int | None = None,
    primary: bool = False,
    actor: str,
) -> Identifier:
    """Give a person an identifier, or say more about one that it has. Trusted, because the API is.

    Holds the processing fence. Raises NotFound, Invalid for a value that cannot be one, Conflict when it belongs to
    somebody else (merge the people instead), a limit is reached or it is an erased person's.
    """
    with exclusive() as db:
        person = person_of(profile)
        rules = load_rules(db, region=settings.DEFAULT_PHONE_REGION)
        candidate, versions = _candidate(rules, type_code, value, namespace, verified=verified_at is not None)
        require_not_suppressed(db, rules, [(candidate.kind, candidate.namespace, value)])
        now = now_us()
        _attach(db, rules, person.pk, candidate, versions, now=now)
        row = _row(person.pk, versions)
        row.body = seal_identifier(IdentifierBody(candidate.value, value.strip(), provider, metadata))
        row.verified_at = verified_at if verified_at is not None else row.verified_at
        row.save(update_fields=["body", "verified_at"])
        if primary:
            _prefer(row, person.pk)
        db.insert(LOG, [(now, "attach", "request", person.pk, None, row.type_id, versions[0], None, actor)])
        mark_described(db, [row.profile_id], now=now)
        return row


def verify_identifier(profile: uuid.UUID, type_code: str, value: str, *, namespace: str = "") -> Identifier:
    """Mark an identifier of a person as confirmed now, and the trait that says the same value.

    From then on it finds the person, also when it came from a browser or its type finds by verified values only.
    Holds the processing fence. Raises NotFound, Invalid, Conflict when another person is found by it.
    """
    with exclusive() as db:
        rules = load_rules(db, region=settings.DEFAULT_PHONE_REGION)
        person = person_of(profile)
        candidate, versions = _candidate(rules, type_code, value, namespace, verified=True)
        _row(person.pk, versions)
        now = now_us()
        _attach(db, rules, person.pk, candidate, versions, now=now)
        row = _row(person.pk, versions)
        row.verified_at = now
        row.trusted = True
        row.save(update_fields=["verified_at", "trusted"])
        _verify_trait(db, rules, row, now=now)
        mark_described(db, fragment_ids(person.pk), now=now)
        return row


def set_primary(profile: uuid.UUID, type_code: str, value: str, *, namespace: str = "") -> Identifier:
    """Make an identifier the preferred one of its type. Holds the processing fence. Raises NotFound, Invalid."""
    with exclusive() as db:
        row = _of_person(load_rules(db, region=settings.DEFAULT_PHONE_REGION), profile, type_code, value, namespace)
        return _prefer(row, person_of(profile).pk)


def remove_identifier(profile: uuid.UUID, type_code: str, value: str, *, namespace: str = "", actor: str) -> list[str]:
    """Take an identifier from a person, with the traits named like its type that hold its value. Returns their keys.

    From then on it finds nobody: what comes with it begins a new person. What it joined stays joined (unmerge that).
    Holds the processing fence. Raises NotFound, Invalid, Conflict for the last one that finds the person.
    """
    with exclusive() as db:
        rules = load_rules(db, region=settings.DEFAULT_PHONE_REGION)
        person = person_of(profile)
        _, versions = _candidate(rules, type_code, value, namespace)
        row = _row(person.pk, versions)
        fragments = fragment_ids(person.pk)
        mine = Identifier.objects.filter(profile_id__in=fragments)
        if row.linking and not mine.filter(linking=True).exclude(digest__in=versions).exists():
            raise Conflict(
                "It is the only one that finds this person: delete the person instead.", code="last_identity"
            )
        now = now_us()
        removed = _drop_trait(db, rules, row, fragments, now=now)
        mine.filter(digest__in=versions).delete()
        db.insert(LOG, [(now, "detach", "request", person.pk, None, row.type_id, versions[0], None, actor)])
        mark_described(db, fragments, now=now)
        return removed


def value_of(row: Identifier) -> str:
    """The normalised value in clear."""
    return open_identifier(row.body).value


def _verify_trait(db: Database, rules: Rules, row: Identifier, *, now: int) -> None:
    """A trait named like the type (e-mail, phone) with the same value is verified: it wins in the golden record."""
    kind = next(kind for kind in rules.kinds.values() if kind.id == row.type_id)
    fragments = fragment_ids(row.profile.person_id)
    confirmed = value_of(row)
    changed: dict[int, Document] = {}
    for profile_id, document in load_documents(db, fragments).items():
        trait = document.get(kind.code)
        if trait and isinstance(trait.value, str) and rules.spelling(kind, trait.value) == confirmed:
            document[kind.code] = msgspec.structs.replace(trait, verified=True)
            changed[profile_id] = document
    store_documents(db, changed, now=now)


def _drop_trait(db: Database, rules: Rules, row: Identifier, fragments: list[int], *, now: int) -> list[str]:
    """Remove the traits named like the type (e-mail, phone) that hold the value of `row`."""
    kind = next(kind for kind in rules.kinds.values() if kind.id == row.type_id)
    removed_value = value_of(row)
    changed: dict[int, Document] = {}
    for profile_id, document in load_documents(db, fragments).items():
        trait = document.get(kind.code)
        if trait and isinstance(trait.value, str) and rules.spelling(kind, trait.value) == removed_value:
            changed[profile_id] = {key: other for key, other in document.items() if key != kind.code}
    store_documents(db, changed, now=now)
    return [kind.code] if changed else []


def _attach(db: Database, rules: Rules, person: int, candidate: Candidate, versions: list[bytes], *, now: int) -> None:
    """Give the person the identifier if no rule is in the way. Raises Conflict."""
    known = {candidate.digest: versions}
    population = load_population(db, rules, [[candidate]], versions=known, addressed={person: person}, now=now)
    taken = Conflict("This identifier belongs to another person: merge the two instead.", code="identifier_taken")
    owner = population.owner.get(candidate.digest)
    if owner is not None and population.find(owner) != person:
        raise taken
    resolver = Resolver(population, rules.kinds.values(), ())
    resolver.resolve([candidate], ts=now, event=b"", trusted=True, addressed=person)
    if candidate.use not in (Use.FOUND, Use.ADDED, Use.LOOKUP_ONLY, Use.UNVERIFIED):
        raise Conflict(f"The identifier {USE_SENTENCES[candidate.use]}.", code=candidate.use.name.lower())
    try:
        with connection.wrap_database_errors:
            store_population(db, population, key_version=settings.KEYRING.current, now=now)
    except IntegrityError as error:  # somebody has it, unverified, from before only verified values found people
        raise taken from error


def _candidate(
    rules: Rules, code: str, value: str, namespace: str, *, verified: bool = False
) -> tuple[Candidate, list[bytes]]:
    kind, space = known_kind(rules, code, namespace)
    text = rules.spelling(kind, value)
    if text is None:
        raise Invalid(
            f"This value cannot be an identifier of the type {kind.code}: it is blocked, too long or not well formed.",
            code="unusable_identifier",
        )
    versions = digests(settings.KEYRING, kind, space, text)
    use = Use.FOUND if kind.joins else Use.LOOKUP_ONLY
    return Candidate(kind, space, versions[0], text, value.strip(), kind.joins, use, verified), versions


def _of_person(rules: Rules, profile: uuid.UUID, code: str, value: str, namespace: str) -> Identifier:
    _, versions = _candidate(rules, code, value, namespace)
    return _row(person_of(profile).pk, versions)


def _row(person_id: int, versions: list[bytes]) -> Identifier:
    rows = Identifier.objects.filter(digest__in=versions, profile_id__in=fragment_ids(person_id))
    row = rows.order_by("-linking", "id").first()
    if row is None:
        raise NotFound("The person has no such identifier.")
    return row


def _prefer(row: Identifier, person_id: int) -> Identifier:
    same = Identifier.objects.filter(profile_id__in=fragment_ids(person_id), type_id=row.type_id)
    same.exclude(pk=row.pk).update(primary=False)
    row.primary = True
    row.save(update_fields=["primary"])
    return row
