"""Who a person is, in a package: profiles, identifiers, traits, what was computed, consents."""

from collections.abc import Iterator
from typing import Any

import msgspec

from cdp.consents.ledger import open_consent
from cdp.consents.models import ConsentRecord
from cdp.consents.purposes import purpose_names
from cdp.core.clock import iso, iso_or_none
from cdp.core.json import decode
from cdp.customer360.event_view import event_id
from cdp.customer360.parts import source_names
from cdp.customer360.score_view import EngagementPart, LifetimePart, ProfileScorePart
from cdp.customer360.view import derived_parts
from cdp.identities.models import Identifier, QuarantinedIdentifier
from cdp.identities.value import open_identifier
from cdp.privacy.package_part import Part, Record, Subject
from cdp.profiles.models import Merge
from cdp.traits.document import open_document
from cdp.traits.models import CalculatedField, ComputedTrait, TraitDefinition, TraitDocument


class ProfileRecord(Record, frozen=True):
    """One profile; `leads` says that the person is known by its id. `revenue` is in units of each currency."""

    id: str
    leads: bool
    created_at: str
    updated_at: str
    first_seen_at: str
    last_seen_at: str
    event_count: int
    purchase_count: int
    first_purchase_at: str | None
    last_purchase_at: str | None
    revenue: dict[str, float]


class IdentifierRecord(Record, frozen=True):
    """One identifier; `given_as` is how it was sent, `held_back` that it joins nobody because too many shared it."""

    type: str
    namespace: str | None
    value: str
    given_as: str | None
    source: str | None
    first_seen_at: str
    verified_at: str | None
    trusted: bool
    primary: bool
    held_back: bool
    metadata: dict[str, Any]
    profile_id: str


class TraitRecord(Record, frozen=True):
    """One value as one profile has it; `current` says that it is the one in use."""

    key: str
    value: Any
    description: str | None
    type: str | None
    source: str | None
    stated_at: str
    computed_at: str | None
    expires_at: str | None
    verified: bool
    current: bool
    metadata: dict[str, Any]
    profile_id: str


class ComputedRecord(Record, frozen=True):
    """A value that was computed; `meaning` says from what."""

    key: str
    value: Any
    meaning: str | None
    computed_at: str


class ScoreRecord(Record, frozen=True):
    """A score or a prediction with its parts."""

    name: str
    values: dict[str, Any]
    computed_at: str


class ConsentRow(Record, frozen=True):
    """One statement. `counts` is false for what a merge wrote that was undone."""

    purpose: str
    name: str
    granted: bool
    stated_at: str
    recorded_at: str | None
    expires_at: str | None
    source: str | None
    document: str | None
    cause: str
    event_id: str | None
    counts: bool
    ip: str | None
    metadata: dict[str, Any]
    profile_id: str


def _profiles(subject: Subject) -> Iterator[ProfileRecord]:
    for profile in subject.profiles:
        yield ProfileRecord(
            id=str(profile.public_id),
            leads=profile.pk == subject.person.pk,
            created_at=iso(profile.created_at),
            updated_at=iso(profile.updated_at),
            first_seen_at=iso(profile.first_seen),
            last_seen_at=iso(profile.last_seen),
            event_count=profile.event_count,
            purchase_count=profile.purchase_count,
            first_purchase_at=iso_or_none(profile.first_purchase),
            last_purchase_at=iso_or_none(profile.last_purchase),
            revenue={currency: sum_ / 10_000 for currency, sum_ in decode(profile.revenue).items()},
        )


def _identifiers(subject: Subject) -> Iterator[IdentifierRecord]:
    rows = Identifier.objects.filter(profile_id__in=subject.numbers).select_related("type")
    rows = rows.order_by("type__priority", "first_seen", "id")
    held = set(
        QuarantinedIdentifier.objects.filter(
            released_at=None, digest__in=[bytes(row.digest) for row in rows]
        ).values_list("digest", flat=True)
    )
    held = {bytes(digest) for digest in held}
    for row in rows:
        body = open_identifier(row.body)
        yield IdentifierRecord(
            type=row.type.code,
            namespace=row.namespace or None,
            value=body.value,
            given_as=body.raw or None,
            source=body.provider or None,
            first_seen_at=iso(row.first_seen),
            verified_at=iso_or_none(row.verified_at),
            trusted=row.trusted,
            primary=row.primary,
            held_back=bytes(row.digest) in held,
            metadata=body.metadata or {},
            profile_id=subject.ids[row.profile_id],
        )


def _traits(subject: Subject) -> Iterator[TraitRecord]:
    golden = subject.parts.record.values
    described = dict(TraitDefinition.objects.exclude(description="").values_list("key", "description"))
    sources = source_names()
    rows = TraitDocument.objects.filter(profile_id__in=subject.numbers).order_by("profile_id")
    for profile_id, body in rows.values_list("profile_id", "body"):
        for key, value in sorted(open_document(body).items()):
            yield TraitRecord(
                key=key,
                value=value.value,
                description=described.get(key),
                type=value.type or None,
                source=value.label or sources.get(value.source_id),
                stated_at=iso(value.at),
                computed_at=iso_or_none(value.computed_at),
                expires_at=iso_or_none(value.expires_at),
                verified=value.verified,
                current=key in golden and golden[key].profile_id == profile_id,
                metadata=value.metadata or {},
                profile_id=subject.ids[profile_id],
            )


def _computed(subject: Subject) -> Iterator[ComputedRecord]:
    meanings = dict(ComputedTrait.objects.values_list("key", "words"))
    meanings |= dict(CalculatedField.objects.values_list("key", "expression"))
    for part in derived_parts(subject.parts, clear=True):
        yield ComputedRecord(part.trait_key, part.trait_value, meanings.get(part.trait_key), part.computed_at)


def _scores(subject: Subject) -> Iterator[ScoreRecord]:
    parts, now = subject.parts, subject.now
    shown: dict[str, msgspec.Struct] = {
        "engagement": EngagementPart.of(parts.engagement, now=now),
        "lifetimeValue": LifetimePart.of(parts.value, now=now),
        "profileScore": ProfileScorePart.of(parts),
    }
    for name, part in shown.items():
        values = msgspec.to_builtins(part)
        values.pop("computedAt", None)
        yield ScoreRecord(name, values, iso(now))


def _consents(subject: Subject) -> Iterator[ConsentRow]:
    names = purpose_names()
    rows = list(ConsentRecord.objects.filter(profile_id__in=subject.numbers).order_by("at", "id"))
    merges = {row.merge for row in rows if row.merge is not None}
    undone = merges - set(Merge.objects.filter(public_id__in=merges, active=True).values_list("public_id", flat=True))
    for row in rows:
        body = open_consent(row.body)
        yield ConsentRow(
            purpose=row.type,
            name=names.get(row.type, row.type),
            granted=row.granted,
            stated_at=iso(row.at),
            recorded_at=iso(row.recorded_at) if row.recorded_at else None,
            expires_at=iso_or_none(row.expires_at),
            source=row.source or None,
            document=row.document or None,
            cause=row.cause,
            event_id=None if row.event is None else event_id(row.event),
            counts=row.merge not in undone,
            ip=body.ip or None,
            metadata=body.metadata or {},
            profile_id=subject.ids[row.profile_id],
        )


PERSON_PARTS = (
    Part("profiles", "Profiles", "What we count about you. Several profiles are one person: you.",
         ("profiles.Profile",), ProfileRecord, _profiles,
         ("id", "leads", "first_seen_at", "last_seen_at", "event_count", "purchase_count", "revenue")),
    Part("identifiers", "Identifiers", "What we know you by.",
         ("identities.Identifier", "identities.QuarantinedIdentifier"), IdentifierRecord, _identifiers,
         ("type", "namespace", "value", "source", "first_seen_at", "verified_at"), given=True),
    Part("traits", "Details", "What you or our systems said about you; the values that are in use, and earlier ones.",
         ("traits.TraitDocument",), TraitRecord, _traits,
         ("key", "value", "description", "source", "stated_at", "expires_at", "current"), given=True),
    Part("consents", "Consents", "Everything you allowed or withdrew, oldest first.",
         ("consents.ConsentRecord",), ConsentRow, _consents,
         ("name", "granted", "stated_at", "expires_at", "source", "document", "cause", "ip"), given=True),
    Part("computed", "Computed details", "What we computed from what you did.",
         ("traits.ComputedValue",), ComputedRecord, _computed, ("key", "value", "meaning", "computed_at")),
    Part("scores", "Scores", "What we estimate about you; it is computed anew whenever it is asked for.",
         (), ScoreRecord, _scores, ("name", "values", "computed_at")),
)  # fmt: skip
