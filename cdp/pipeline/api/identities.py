"""Identities by REST (001): add, list, resolve, verify, prefer; 002's link (P2)."""

from typing import Any, ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_change, record_read
from cdp.access.rights import rights_of
from cdp.core.clock import now_us
from cdp.core.errors import Invalid, NotFound
from cdp.customer360.masking import sight_of
from cdp.customer360.parts import parts_of
from cdp.customer360.view import IdentityPart, identity_parts
from cdp.events.sessions_view import person_of_session
from cdp.identities.lookup import find_person
from cdp.identities.models import Identifier
from cdp.pipeline.identify import add_identifier, remove_identifier, set_primary, verify_identifier
from cdp.pipeline.lease import exclusive
from cdp.profiles.models import Profile
from cdp.profiles.people import person_of
from cdp.rest.body import moment, read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

EXAMPLE = {"identityType": "EMAIL", "identityValue": "customer@example.com", "isPrimary": True}


class IdentityBody(msgspec.Struct, rename="camel"):
    """An identifier: EMAIL, PHONE, USER_ID, DEVICE_ID, … ; EXTERNAL_ID with the `namespace` that its ids belong to."""

    identity_type: str
    identity_value: str | int
    namespace: str = ""
    provider: str = ""
    verified_at: str | int | None = None
    is_primary: bool = False
    metadata: dict[str, Any] | None = None


class IdentityName(msgspec.Struct, rename="camel"):
    """Which identifier of the person."""

    identity_type: str
    identity_value: str | int
    namespace: str = ""


class LinkedIdentity(msgspec.Struct, rename="camel"):
    """002's identity."""

    type: str
    value: str | int
    namespace: str = ""
    provider: str = ""
    metadata: dict[str, Any] | None = None


class LinkBody(msgspec.Struct, rename="camel"):
    """002's link of an identity to a profile."""

    profile_id: str
    identity: LinkedIdentity


class Resolved(msgspec.Struct, frozen=True, rename="camel"):
    """Who an identifier belongs to."""

    customer_id: str
    profile_id: str
    identity_type: str
    namespace: str | None


class Identities(Endpoint):
    """`identities/:customerId`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "write", "DELETE": "write"}

    @endpoint("Identities of a customer", Page[IdentityPart], parameters=PAGE_PARAMETERS, tag="identities")
    def get(self, request: Request, customer_id: str) -> Response:
        """Strongest type first."""
        rights = rights_of(request)
        person = person_of(customer_id)
        page = window(request).of(identity_parts(parts_of(person, now=now_us()), clear=sight_of(rights)))
        record_read(
            rights, object_type="profile", object_ids=[person.public_id], fields=["identities"], request=request
        )
        return Response(page)

    @endpoint(
        "Add an identity",
        IdentityPart,
        body=IdentityBody,
        statuses={201: "The customer has it now."},
        example=EXAMPLE,
        tag="identities",
    )
    def post(self, request: Request, customer_id: str) -> Response:
        """Says more about it when the customer has it already. 409 when it belongs to somebody else: merge then."""
        body = read_body(request, IdentityBody)
        person = person_of(customer_id)
        with exclusive():
            row = add_identifier(
                person.public_id,
                body.identity_type,
                str(body.identity_value),
                namespace=body.namespace,
                provider=body.provider,
                metadata=body.metadata,
                verified_at=moment(body.verified_at, "verifiedAt"),
                primary=body.is_primary,
                actor=rights_of(request).actor,
            )
            _record_change("add identity", request, person, body.identity_type)
        return Response(_part(request, person, row), status=201)

    @endpoint("Remove an identity", None, body=IdentityName, example=EXAMPLE, tag="identities")
    def delete(self, request: Request, customer_id: str) -> Response:
        """Named in the body, never in the address. With it goes the trait that says the same (`email`, `phone`).

        404 when the customer has it not, 409 for the last one that finds them. What it joined stays joined.
        """
        body = read_body(request, IdentityName)
        person = person_of(customer_id)
        with exclusive():
            traits = remove_identifier(
                person.public_id,
                body.identity_type,
                str(body.identity_value),
                namespace=body.namespace,
                actor=rights_of(request).actor,
            )
            _record_change("remove identity", request, person, body.identity_type)
            if traits:
                record_change(
                    rights_of(request).actor, action="delete traits", object_type="profile",
                    object_ids=[person.public_id], fields=traits,
                )  # fmt: skip
        return Response(status=204)


class LinkIdentity(Endpoint):
    """`profiles/identity/link`."""

    needs: ClassVar[dict[str, str]] = {"POST": "write"}

    @endpoint(
        "Link an identity to a profile",
        IdentityPart,
        body=LinkBody,
        statuses={201: "The profile has it now."},
        example={
            "profileId": "0197a1c0-7b5e-7c3a-9f1d-2f4b6a8c0e11",
            "identity": {"type": "phone", "value": "+37060012345"},
        },
        tag="profiles",
    )
    def post(self, request: Request) -> Response:
        """002's spelling of adding an identity."""
        body = read_body(request, LinkBody)
        person = person_of(body.profile_id)
        with exclusive():
            row = add_identifier(
                person.public_id,
                body.identity.type,
                str(body.identity.value),
                namespace=body.identity.namespace,
                provider=body.identity.provider,
                metadata=body.identity.metadata,
                actor=rights_of(request).actor,
            )
            _record_change("add identity", request, person, body.identity.type)
        return Response(_part(request, person, row), status=201)


class VerifyIdentity(Endpoint):
    """`identities/:customerId/verify`."""

    needs: ClassVar[dict[str, str]] = {"POST": "write"}

    @endpoint("Verify an identity", IdentityPart, body=IdentityName, example=EXAMPLE, tag="identities")
    def post(self, request: Request, customer_id: str) -> Response:
        """Confirmed as of now."""
        body = read_body(request, IdentityName)
        person = person_of(customer_id)
        with exclusive():
            row = verify_identifier(
                person.public_id, body.identity_type, str(body.identity_value), namespace=body.namespace
            )
            _record_change("verify identity", request, person, body.identity_type)
        return Response(_part(request, person, row))


class PrimaryIdentity(Endpoint):
    """`identities/:customerId/set-primary`."""

    needs: ClassVar[dict[str, str]] = {"POST": "write"}

    @endpoint("Set the primary identity of a type", IdentityPart, body=IdentityName, example=EXAMPLE, tag="identities")
    def post(self, request: Request, customer_id: str) -> Response:
        """The others of its type are no longer primary."""
        body = read_body(request, IdentityName)
        person = person_of(customer_id)
        with exclusive():
            row = set_primary(person.public_id, body.identity_type, str(body.identity_value), namespace=body.namespace)
            _record_change("prefer identity", request, person, body.identity_type)
        return Response(_part(request, person, row))


class ResolveIdentity(Endpoint):
    """`identity/resolve`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint(
        "Resolve a customer by identity",
        Resolved,
        parameters=[
            parameter("identityType", "EMAIL, PHONE, USER_ID, EXTERNAL_ID, …", required=True),
            parameter("identityValue", "The value; it is normalised before it is compared.", required=True),
            parameter("namespace", "Of an EXTERNAL_ID: whose ids they are."),
        ],
        tag="identities",
    )
    def get(self, request: Request) -> Response:
        """404 when nobody has it."""
        code, value = _asked(request, "identityType", "type"), _asked(request, "identityValue", "value")
        namespace = request.query_params.get("namespace", "")
        person = find_person(code, value, namespace)
        if person is None and code.lower() == "session_id":  # those of events are kept with the sessions
            person = person_of_session(value)
        if person is None:
            raise NotFound("Nobody has this identity.")
        public_id = str(person.public_id)
        record_read(
            rights_of(request), object_type="profile", object_ids=[public_id], fields=[code.lower()], request=request,
            action="resolve",
        )  # fmt: skip
        return Response(
            Resolved(
                customer_id=public_id, profile_id=public_id, identity_type=code.upper(), namespace=namespace or None
            )
        )


def _asked(request: Request, *names: str) -> str:
    found = next((value for name in names if (value := request.query_params.get(name, "").strip())), "")
    if not found:
        raise Invalid(f"Give the query parameter `{names[0]}`.", details={"path": names[0]})
    return found


def _record_change(action: str, request: Request, person: Profile, kind: str) -> None:
    actor, ids = rights_of(request).actor, [person.public_id]
    record_change(actor, action=action, object_type="profile", object_ids=ids, fields=[kind.lower()])


def _part(request: Request, person: Profile, row: Identifier) -> IdentityPart:
    rights = rights_of(request)
    parts = parts_of(person, now=now_us())
    views = identity_parts(parts, clear=sight_of(rights))
    record_read(rights, object_type="profile", object_ids=[person.public_id], fields=["identities"], request=request)
    return next(view for view, found in zip(views, parts.identifiers, strict=True) if found.id == row.pk)
