"""Consents by REST: 001's statements by type, 003's preferences in one object."""

from typing import Any, ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.rights import rights_of
from cdp.consents.ledger import TYPES, record_consent
from cdp.consents.state import consents_of
from cdp.core.clock import now_us
from cdp.core.errors import Invalid, NotFound
from cdp.customer360.document import ConsentPreferences, consent_preferences
from cdp.customer360.view import ConsentPart, consent_part
from cdp.pipeline.lease import exclusive
from cdp.profiles.people import fragment_ids, fragment_of, person_of
from cdp.rest.body import moment, read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint

EXAMPLE = {"consentType": "MARKETING_EMAIL", "granted": True, "source": "customer_portal", "ipAddress": "192.168.1.1"}
PREFERENCES = {"email": "MARKETING_EMAIL", "sms": "MARKETING_SMS", "tracking": "ANALYTICS_TRACKING"}


class ConsentBody(msgspec.Struct, rename="camel"):
    """A statement about one consent type."""

    consent_type: str
    granted: bool
    source: str = ""
    ip_address: str = ""
    expires_at: str | int | None = None
    metadata: dict[str, Any] | None = None


class PreferencesBody(msgspec.Struct, rename="camel"):
    """003's preferences of a profile; what is left out stays as it is."""

    profile_id: str | None = None
    customer_id: str | None = None
    email: bool | None = None
    sms: bool | None = None
    tracking: bool | None = None
    source: str = ""


class Consents(Endpoint):
    """`consents/:customerId`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "write"}

    @endpoint("Consents of a customer", Page[ConsentPart], parameters=PAGE_PARAMETERS, tag="consents")
    def get(self, request: Request, customer_id: str) -> Response:
        """The state now of every type about which something was said; the newest statement counts."""
        return Response(window(request).of(_states(customer_id)))

    @endpoint(
        "Set a consent",
        ConsentPart,
        body=ConsentBody,
        statuses={201: "Recorded; the answer is the state now."},
        example=EXAMPLE,
        tag="consents",
    )
    def post(self, request: Request, customer_id: str) -> Response:
        """Adds a statement to the ledger, which is never overwritten."""
        body = read_body(request, ConsentBody)
        now = now_us()
        expires_at = moment(body.expires_at, "expiresAt")
        with exclusive():
            record_consent(
                fragment_of(customer_id).pk,
                body.consent_type,
                granted=body.granted,
                at=now,
                expires_at=expires_at,
                source=body.source or rights_of(request).actor,
                ip=body.ip_address[:64],
                metadata=body.metadata,
            )
        return Response(_state(customer_id, body.consent_type), status=201)


class OneConsent(Endpoint):
    """`consents/:customerId/:consentType`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("One consent of a customer", ConsentPart, tag="consents")
    def get(self, request: Request, customer_id: str, consent_type: str) -> Response:  # noqa: ARG002
        """404 when nothing was ever said about it: then it is unknown, neither granted nor withdrawn."""
        kind = consent_type.upper()
        if kind not in TYPES:
            raise NotFound(f"There is no such consent type. The types are: {', '.join(TYPES)}.")
        return Response(_state(customer_id, kind))


class Preferences(Endpoint):
    """`consent`."""

    needs: ClassVar[dict[str, str]] = {"POST": "write"}

    @endpoint(
        "Update consent preferences",
        ConsentPreferences,
        body=PreferencesBody,
        example={"profileId": "0197a1c0-7b5e-7c3a-9f1d-2f4b6a8c0e11", "email": True, "sms": False},
        tag="consents",
    )
    def post(self, request: Request) -> Response:
        """003's e-mail, SMS and tracking, as statements about MARKETING_EMAIL, MARKETING_SMS and ANALYTICS_TRACKING."""
        body = read_body(request, PreferencesBody)
        profile_id = body.profile_id or body.customer_id
        if profile_id is None:
            raise Invalid("Say whose consent it is: profileId.", details={"path": "profileId"})
        given = {name: getattr(body, name) for name in PREFERENCES}
        record_preferences(profile_id, given, source=body.source or rights_of(request).actor)
        return Response(_preferences(profile_id))


class PreferencesOf(Endpoint):
    """`consent/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("Consent preferences of a profile", ConsentPreferences, tag="consents")
    def get(self, request: Request, profile_id: str) -> Response:  # noqa: ARG002 - the framework's interface
        """What was never said is left out."""
        return Response(_preferences(profile_id))


def record_preferences(profile_id: str, given: dict[str, bool | None], *, source: str) -> None:
    """Add a statement for each of 003's preferences that is not None. Raises NotFound, Invalid."""
    stated = {PREFERENCES[name]: granted for name, granted in given.items() if granted is not None}
    if not stated:
        raise Invalid(f"Give at least one of: {', '.join(PREFERENCES)}.")
    now = now_us()
    with exclusive():
        owner = fragment_of(profile_id).pk
        for kind, granted in stated.items():
            record_consent(owner, kind, granted=granted, at=now, source=source)


def _states(customer_id: str) -> list[ConsentPart]:
    return [consent_part(state) for state in consents_of(fragment_ids(person_of(customer_id).pk), now=now_us())]


def _state(customer_id: str, kind: str) -> ConsentPart:
    found = next((part for part in _states(customer_id) if part.consent_type == kind), None)
    if found is None:
        raise NotFound("Nothing was said about this consent: it is unknown.", code="unknown_consent")
    return found


def _preferences(profile_id: str) -> ConsentPreferences:
    person = person_of(profile_id)
    return consent_preferences(consents_of(fragment_ids(person.pk), now=now_us()), default=person.created_at)
