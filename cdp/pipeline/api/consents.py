"""Consents by REST: 001's statements by type, 002's by purposes and identifiers, 003's preferences in one object."""

from typing import Any, ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.rights import rights_of
from cdp.consents.ledger import ConsentStatement
from cdp.consents.purposes import purposes_named
from cdp.consents.state import consents_at
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.customer360.consent_view import AT, moment_asked
from cdp.customer360.document import ConsentPreferences, consent_preferences
from cdp.customer360.view import ConsentPart, consent_part
from cdp.identities.lookup import find_person
from cdp.pipeline.lease import exclusive
from cdp.pipeline.state_consent import state_consents
from cdp.profiles.models import Profile
from cdp.profiles.people import fragment_of, person_of
from cdp.rest.body import moment, read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint

EXAMPLE = {
    "consentType": "MARKETING_EMAIL",
    "granted": True,
    "source": "customer_portal",
    "ipAddress": "192.168.1.1",
    "documentVersion": "terms-2026-05",
    "expiresAt": "2028-05-01T00:00:00Z",
}
EXAMPLE_002 = {
    "userId": "user123",
    "email": "user@example.com",
    "purposes": ["marketing", "analytics"],
    "channel": "web",
    "granted": True,
}
PREFERENCES = {"email": "MARKETING_EMAIL", "sms": "MARKETING_SMS", "tracking": "ANALYTICS_TRACKING"}
_MOST_PURPOSES = 100


class ConsentBody(msgspec.Struct, rename="camel"):
    """A statement about one consent type, or about all those of a group (`marketing`). `at`: when it was made."""

    consent_type: str
    granted: bool
    source: str = ""
    ip_address: str = ""
    document_version: str = ""
    at: str | int | None = None
    expires_at: str | int | None = None
    metadata: dict[str, Any] | None = None


class PurposesBody(msgspec.Struct, rename="camel"):
    """A statement about purposes or groups of them, by whoever has these identifiers. `channel`: where it was made."""

    purposes: list[str]
    granted: bool = True
    user_id: str | int | None = None
    customer_id: str | int | None = None
    email: str | None = None
    phone: str | None = None
    anonymous_id: str | int | None = None
    channel: str = ""
    ip_address: str = ""
    document_version: str = ""
    at: str | int | None = None
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


class ConsentStated(ConsentPart, frozen=True, rename="camel", omit_defaults=True):
    """The state now. Of a group: its name, what holds for all of it, and in `purposes` each of them."""

    purposes: list[ConsentPart] = msgspec.field(default_factory=list)


class PurposesStated(msgspec.Struct, frozen=True, rename="camel"):
    """Whose consents these are, and their state now."""

    customer_id: str
    consents: list[ConsentPart]


class Consents(Endpoint):
    """`consents/:customerId`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "write"}

    @endpoint("Consents of a customer", Page[ConsentPart], parameters=[*PAGE_PARAMETERS, AT], tag="consents")
    def get(self, request: Request, customer_id: str) -> Response:
        """The state of every type about which something was said, now or at a past moment."""
        return Response(window(request).of(_states(customer_id, moment_asked(request))))

    @endpoint(
        "Set a consent",
        ConsentStated,
        body=ConsentBody,
        statuses={201: "Recorded; the answer is the state now."},
        example=EXAMPLE,
        tag="consents",
    )
    def post(self, request: Request, customer_id: str) -> Response:
        """Adds a statement to the ledger, which is never overwritten. A group (`marketing`) states all its types."""
        body = read_body(request, ConsentBody)
        codes = purposes_named([body.consent_type], path="consentType")[body.consent_type]
        actor = rights_of(request).actor
        statement = _statement(body, source=body.source or actor)
        state_consents(customer_id, codes, statement, actor=actor)
        parts = [part for part in _states(customer_id, None) if part.consent_type in codes]
        if len(parts) == 1:
            return Response(parts[0], status=201)
        least = min(parts, key=lambda part: part.granted)
        fields = msgspec.structs.asdict(least) | {"consent_type": body.consent_type.strip().lower()}
        return Response(ConsentStated(**fields, purposes=parts), status=201)


class OneConsent(Endpoint):
    """`consents/:customerId/:consentType`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("One consent of a customer", ConsentPart, parameters=[AT], tag="consents")
    def get(self, request: Request, customer_id: str, consent_type: str) -> Response:
        """404 when nothing was ever said about it: then it is unknown, neither granted nor withdrawn."""
        try:
            [kind] = purposes_named([consent_type], path="consentType")[consent_type]
        except Invalid as error:
            raise NotFound(error.message, code=error.code) from None
        except ValueError:
            raise NotFound(f"{consent_type[:40]!r} is a group: ask for one of its types.") from None
        found = next((p for p in _states(customer_id, moment_asked(request)) if p.consent_type == kind), None)
        if found is None:
            raise NotFound("Nothing was said about this consent: it is unknown.", code="unknown_consent")
        return Response(found)


class ConsentByIdentifiers(Endpoint):
    """`privacy/consent`."""

    needs: ClassVar[dict[str, str]] = {"POST": "write"}

    @endpoint(
        "Record consent by identifiers",
        PurposesStated,
        body=PurposesBody,
        statuses={201: "Recorded; the answer is the state now."},
        example=EXAMPLE_002,
        tag="consents",
    )
    def post(self, request: Request) -> Response:
        """002's: about purposes or groups, by whoever is known by the identifiers. It makes nobody.

        404 when nobody is; 409 when two of the identifiers belong to different people.
        """
        body = read_body(request, PurposesBody)
        if not 1 <= len(body.purposes) <= _MOST_PURPOSES:
            message = f"Name from 1 to {_MOST_PURPOSES} `purposes`."
            raise Invalid(message, details={"path": "purposes"})
        named = purposes_named(body.purposes)
        codes = list(dict.fromkeys(code for codes in named.values() for code in codes))
        person = _person_named(body)
        actor = rights_of(request).actor
        state_consents(person.public_id, codes, _statement(body, source=body.channel or actor), actor=actor)
        parts = [part for part in _states(str(person.public_id), None) if part.consent_type in codes]
        return Response(PurposesStated(str(person_of(person.public_id).public_id), parts), status=201)


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
        state_preferences(profile_id, given, actor=rights_of(request).actor, source=body.source)
        return Response(_preferences(profile_id, None))


class PreferencesOf(Endpoint):
    """`consent/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("Consent preferences of a profile", ConsentPreferences, parameters=[AT], tag="consents")
    def get(self, request: Request, profile_id: str) -> Response:
        """What was never said is left out."""
        return Response(_preferences(profile_id, moment_asked(request)))


def state_preferences(profile_id: str, given: dict[str, bool | None], *, actor: str, source: str = "") -> None:
    """State each of 003's preferences that is not None, as `actor`. Raises NotFound, Invalid."""
    stated = {PREFERENCES[name]: granted for name, granted in given.items() if granted is not None}
    if not stated:
        raise Invalid(f"Give at least one of: {', '.join(PREFERENCES)}.")
    now = now_us()
    with exclusive():
        for granted in sorted(set(stated.values())):
            codes = [code for code, said in stated.items() if said == granted]
            state_consents(profile_id, codes, ConsentStatement(granted, now, source=source or actor), actor=actor)


def _statement(body: ConsentBody | PurposesBody, *, source: str) -> ConsentStatement:
    at = moment(body.at, "at")
    return ConsentStatement(
        granted=body.granted,
        at=now_us() if at is None else at,
        expires_at=moment(body.expires_at, "expiresAt"),
        source=source,
        document=body.document_version,
        ip=body.ip_address.strip(),
        metadata=body.metadata,
    )


def _person_named(body: PurposesBody) -> Profile:
    """Raises Invalid, NotFound, Conflict."""
    given: dict[str, list[str | int | None]] = {
        "user_id": [body.user_id, body.customer_id],
        "email": [body.email],
        "phone": [body.phone],
        "anonymous_id": [body.anonymous_id],
    }
    named = [(code, str(value)) for code, values in given.items() for value in values if value not in (None, "")]
    if not named:
        message = "Say whose consent it is: `userId`, `email`, `phone` or `anonymousId`."
        raise Invalid(message, details={"path": "userId"})
    people = {found.pk: found for code, value in named if (found := find_person(code, value)) is not None}
    if not people:
        raise NotFound(
            "Nobody is known by these identifiers. Make the person first (POST profiles, or an identify call), or state"
            " the consent by the id of a profile (POST consents/:customerId).",
            code="nobody_known",
        )
    if len(people) > 1:
        raise Conflict(
            "These identifiers belong to different people. Name one of them, or merge them first.",
            code="identifiers_disagree",
        )
    [person] = people.values()
    return person


def _states(customer_id: str, at: int | None) -> list[ConsentPart]:
    return [consent_part(state) for state in consents_at(customer_id, at, now=now_us())]


def _preferences(profile_id: str, at: int | None) -> ConsentPreferences:
    fragment = fragment_of(profile_id)
    return consent_preferences(consents_at(profile_id, at, now=now_us()), default=fragment.person.created_at)
