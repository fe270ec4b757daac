"""Traits by REST (001): set one or many, get all or one, delete (T1)."""

from typing import Any, ClassVar

import msgspec
from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_change, record_read
from cdp.access.rights import Rights, rights_of
from cdp.access.source import API_SOURCE, api_source
from cdp.core.clock import iso, iso_or_none, now_us
from cdp.core.errors import Invalid, NotFound
from cdp.customer360.masking import shown, sight_of
from cdp.customer360.parts import parts_of
from cdp.customer360.view import TraitPart, trait_parts
from cdp.pipeline.write_traits import TraitWrite, delete_trait, set_traits
from cdp.profiles.models import Profile
from cdp.profiles.people import person_of
from cdp.rest.body import moment, read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter
from cdp.traits.models import TraitDefinition

MAX_BATCH = 1000
EXAMPLE = {"traitKey": "risk_score", "traitValue": 85, "traitType": "RISK", "source": "computed"}


class TraitBody(msgspec.Struct, rename="camel"):
    """A trait to set. `source` is a text of the caller's; `expiresAt` is honoured when it is read."""

    trait_key: str
    trait_value: Any
    trait_type: str | None = None
    source: str | None = None
    computed_at: str | int | None = None
    expires_at: str | int | None = None
    metadata: dict[str, Any] | None = None

    def write(self, path: str) -> TraitWrite:
        """What is to be written. Raises Invalid with the path of the field."""
        if self.trait_value is None:
            message = "A trait cannot be set to null: delete it instead."
            raise Invalid(message, code="null_trait", details={"path": f"{path}traitValue"})
        return TraitWrite(
            key=self.trait_key,
            value=self.trait_value,
            type=self.trait_type or "",
            label=self.source or "",
            computed_at=moment(self.computed_at, f"{path}computedAt"),
            expires_at=moment(self.expires_at, f"{path}expiresAt"),
            metadata=self.metadata,
        )


class TraitBatch(msgspec.Struct):
    """Traits to set, all or none."""

    traits: list[TraitBody]


class TraitsSet(msgspec.Struct, frozen=True):
    """The traits of those keys as they are now: the winning values."""

    data: list[TraitPart]


class Traits(Endpoint):
    """`traits/:customerId`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "write"}

    @endpoint(
        "Traits of a customer",
        Page[TraitPart],
        parameters=[
            parameter("traitType", "Only this type.", enum=TraitDefinition.Type.values),
            *PAGE_PARAMETERS,
        ],
        tag="traits",
    )
    def get(self, request: Request, customer_id: str) -> Response:
        """The golden record by key, each value with its source and the rule that chose it; without what has expired."""
        rights = rights_of(request)
        person = person_of(customer_id)
        kind = request.query_params.get("traitType", "").upper()
        if kind and kind not in TraitDefinition.Type.values:
            names = ", ".join(TraitDefinition.Type.values)
            raise Invalid(f"`traitType` must be one of {names}.", details={"path": "traitType"})
        found = [part for part in _parts(person, rights) if not kind or part.trait_type == kind]
        page = window(request).of(found)
        _record(rights, person, page.data, request)
        return Response(page)

    @endpoint(
        "Set a trait",
        TraitPart,
        body=TraitBody,
        statuses={201: "Set; the answer is the winning value."},
        example=EXAMPLE,
        tag="traits",
    )
    def post(self, request: Request, customer_id: str) -> Response:
        """Overwrites the value that the person's profile has."""
        body = read_body(request, TraitBody)
        return Response(_set(request, customer_id, [body.write("")])[0], status=201)


class TraitsInBatch(Endpoint):
    """`traits/:customerId/batch`."""

    needs: ClassVar[dict[str, str]] = {"POST": "write"}

    @endpoint(
        "Set several traits",
        TraitsSet,
        body=TraitBatch,
        statuses={201: "Set; the answer are the winning values."},
        example={"traits": [EXAMPLE]},
        tag="traits",
    )
    def post(self, request: Request, customer_id: str) -> Response:
        """All or none."""
        body = read_body(request, TraitBatch)
        if not 1 <= len(body.traits) <= MAX_BATCH:
            raise Invalid(f"Give from 1 to {MAX_BATCH} traits.", details={"path": "traits"})
        writes = [trait.write(f"traits[{index}].") for index, trait in enumerate(body.traits)]
        return Response(TraitsSet(_set(request, customer_id, writes)), status=201)


class EngagementTraits(Endpoint):
    """`traits/:customerId/compute-engagement`."""

    needs: ClassVar[dict[str, str]] = {"POST": "write"}

    @endpoint(
        "Compute the engagement traits",
        TraitsSet,
        statuses={201: "Set; the answer are the winning values."},
        tag="traits",
    )
    def post(self, request: Request, customer_id: str) -> Response:
        """Keeps the engagement score of the 360° view and its parts as traits: `engagement_overall_score` and so on."""
        now = now_us()
        engagement = parts_of(person_of(customer_id), now=now).engagement
        writes = [
            TraitWrite(f"engagement_{name}_score", getattr(engagement, name), "ENGAGEMENT", "computed", computed_at=now)
            for name in ("overall", "email", "web", "portal", "recency", "frequency", "monetary")
        ]
        return Response(TraitsSet(_set(request, customer_id, writes)), status=201)


class OneTrait(Endpoint):
    """`traits/:customerId/:traitKey`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "DELETE": "write"}

    @endpoint("One trait of a customer", TraitPart, tag="traits")
    def get(self, request: Request, customer_id: str, trait_key: str) -> Response:
        """404 when the person has none of this key, or it has expired."""
        rights = rights_of(request)
        person = person_of(customer_id)
        found = next((part for part in _parts(person, rights) if part.trait_key == trait_key), None)
        if found is None:
            raise NotFound("The customer has no such trait.")
        _record(rights, person, [found], request)
        return Response(found)

    @endpoint("Delete a trait", None, tag="traits")
    def delete(self, request: Request, customer_id: str, trait_key: str) -> Response:
        """From every profile of the person."""
        person = person_of(customer_id)
        with transaction.atomic():
            delete_trait(person.public_id, trait_key)
            _record_change("delete traits", rights_of(request), person, [trait_key])
        return Response(status=204)


def _set(request: Request, customer_id: str, writes: list[TraitWrite]) -> list[TraitPart]:
    rights = rights_of(request)
    person = person_of(customer_id)
    with transaction.atomic():
        set_traits(person.public_id, writes, source=api_source())
        _record_change("set traits", rights, person, [write.key for write in writes])
    golden = {part.trait_key: part for part in _parts(person, rights)}
    parts = [golden.get(write.key) or _unseen(write, person, rights) for write in writes]
    _record(rights, person, parts, request)
    return parts


def _unseen(write: TraitWrite, person: Profile, rights: Rights) -> TraitPart:
    """What was written although nobody will read it, because it has expired already."""
    now = iso(now_us())
    return TraitPart(
        trait_key=write.key,
        trait_value=shown(write.key, write.value, clear=sight_of(rights)),
        trait_type=write.type or None,
        source=write.label or API_SOURCE,
        computed_at=now if write.computed_at is None else iso(write.computed_at),
        expires_at=iso_or_none(write.expires_at),
        metadata=shown("", write.metadata or {}, clear=sight_of(rights)),
        verified=False,
        rule="expired",
        profile_id=str(person.public_id),
    )


def _parts(person: Profile, rights: Rights) -> list[TraitPart]:
    return trait_parts(parts_of(person, now=now_us()), clear=sight_of(rights))


def _record_change(action: str, rights: Rights, person: Profile, keys: list[str]) -> None:
    record_change(rights.actor, action=action, object_type="profile", object_ids=[person.public_id], fields=keys)


def _record(rights: Rights, person: Profile, parts: list[TraitPart], request: Request) -> None:
    fields = [part.trait_key for part in parts]
    record_read(rights, object_type="profile", object_ids=[person.public_id], fields=fields, request=request)
