"""What travels: the requests of controllers and what they are answered, in the names of the specification."""

import uuid
from collections.abc import Sequence
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit

import msgspec
from django.conf import settings

from cdp.core.clock import parse_time
from cdp.core.errors import Invalid, TooLarge
from cdp.core.json import nested_deeper
from cdp.privacy.models import PrivacyRequest
from cdp.rest.body import as_struct

VERSIONS = {1: "1.0", 2: "2.0", 3: "3.0"}
IDENTITIES = {
    "controller_customer_id": "user_id",
    "email": "email",
    "android_id": "device_id",
    "ios_vendor_id": "device_id",
}
"""Identity type of the specification → ours. The SDKs send the two device ids as `context.device.id`."""
KINDS = {
    "access": PrivacyRequest.Kind.ACCESS,
    "portability": PrivacyRequest.Kind.PORTABILITY,
    "erasure": PrivacyRequest.Kind.DELETION,
}
MAX_BYTES = 64 * 1024
MAX_URLS = 5
_MAX_URL = 500
_NESTING = 20


class Identity(msgspec.Struct, frozen=True):
    """Who it is about, in one way of saying it."""

    identity_type: str
    identity_value: str
    identity_format: str


class Asked(msgspec.Struct, frozen=True):
    """The body of a request. `extensions` are for other processors, or say what we do not know: they are not read."""

    subject_request_id: str
    subject_request_type: str
    submitted_time: str
    subject_identities: list[Identity] = []
    regulation: str | None = None
    api_version: str | None = None
    status_callback_urls: list[str] | None = None
    extensions: dict[str, Any] | None = None


class Supported(msgspec.Struct, frozen=True):
    """An identity type that a person can be found by."""

    identity_type: str
    identity_format: str


class Discovery(msgspec.Struct, frozen=True):
    """What there is of the specification."""

    api_version: str
    supported_identities: list[Supported]
    supported_subject_request_types: list[str]
    processor_certificate: str


class Received(msgspec.Struct, frozen=True):
    """The answer to a request that was taken."""

    controller_id: str
    expected_completion_time: str
    received_time: str
    encoded_request: str
    subject_request_id: str


class RequestState(msgspec.Struct, frozen=True):
    """How far a request is."""

    controller_id: str
    expected_completion_time: str
    subject_request_id: str
    request_status: Literal["pending", "in_progress", "completed", "cancelled"]
    api_version: str
    results_url: str | None


class Callback(msgspec.Struct, frozen=True):
    """The same, as it is sent to the controller's address."""

    controller_id: str
    expected_completion_time: str
    status_callback_url: str
    subject_request_id: str
    request_status: str
    api_version: str
    results_url: str | None


class Cancelled(msgspec.Struct, frozen=True):
    """The answer to a cancellation."""

    controller_id: str
    received_time: str
    subject_request_id: str
    api_version: str


class Order(msgspec.Struct, frozen=True):
    """A request that can be opened: our kind, our identifiers."""

    id: str
    kind: PrivacyRequest.Kind
    regulation: PrivacyRequest.Regulation
    identifiers: dict[str, str]
    callbacks: list[str]


def discovery_of(version: int) -> Discovery:
    """What a controller can ask for."""
    return Discovery(
        api_version=VERSIONS[version],
        supported_identities=[Supported(name, "raw") for name in IDENTITIES],
        supported_subject_request_types=list(KINDS),
        processor_certificate=f"{settings.PUBLIC_URL}/opendsr/certificate.pem",
    )


def order_of(raw: bytes, *, version: int) -> Order:
    """A body as what it asks of us. Raises Invalid with the path of what cannot be used, TooLarge."""
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"The body may have {MAX_BYTES} bytes.")
    asked = _asked(raw)
    if asked.subject_request_type not in KINDS:
        _refuse("subject_request_type", f"must be one of {', '.join(KINDS)}")
    regulation = asked.regulation or ("gdpr" if version == 1 else "")
    if regulation not in PrivacyRequest.Regulation.values:
        _refuse("regulation", "must be gdpr or ccpa")
    if parse_time(asked.submitted_time) is None:
        _refuse("submitted_time", "must be a time such as 2026-01-31T12:00:00Z")
    return Order(
        id=subject_request_id(asked.subject_request_id),
        kind=KINDS[asked.subject_request_type],
        regulation=PrivacyRequest.Regulation(regulation),
        identifiers=_identifiers(asked.subject_identities),
        callbacks=_urls(asked.status_callback_urls or []),
    )


def subject_request_id(text: str) -> str:
    """The id in the one spelling that is kept. Raises Invalid when it is no UUID."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        _refuse("subject_request_id", "must be a UUID")


def _asked(raw: bytes) -> Asked:
    try:
        if nested_deeper(raw, _NESTING):
            _refuse("$", f"may be nested {_NESTING} deep")
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        _refuse("$", "is no JSON")
    return as_struct(data, Asked)


def _identifiers(identities: Sequence[Identity]) -> dict[str, str]:
    if not identities:
        _refuse("subject_identities", "must name who it is about")
    found: dict[str, str] = {}
    for number, identity in enumerate(identities):
        path = f"subject_identities[{number}]"
        if identity.identity_type not in IDENTITIES:
            _refuse(f"{path}.identity_type", f"must be one of {', '.join(IDENTITIES)}")
        if identity.identity_format != "raw":
            _refuse(f"{path}.identity_format", "must be raw: nobody can be found here by a hash of another key")
        name = IDENTITIES[identity.identity_type]
        if found.setdefault(name, identity.identity_value) != identity.identity_value:
            _refuse(path, f"is a second {name}: send a request for each")
    return found


def _urls(urls: Sequence[str]) -> list[str]:
    if len(urls) > MAX_URLS:
        _refuse("status_callback_urls", f"may have {MAX_URLS} addresses")
    for number, url in enumerate(urls):
        path = f"status_callback_urls[{number}]"
        try:
            parts = urlsplit(url)
            usable = bool(parts.hostname) and not parts.username and not parts.fragment and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if not usable or len(url) > _MAX_URL or not url.isascii() or not url.isprintable():
            _refuse(path, f"must be an address of up to {_MAX_URL} characters, without a user or a fragment")
        if parts.scheme != "https" and not (parts.scheme == "http" and settings.OUTBOUND_ALLOW):
            _refuse(path, "must begin with https://")
    return list(dict.fromkeys(urls))


def _refuse(path: str, sentence: str) -> NoReturn:
    raise Invalid(f"`{path}` {sentence}.", details={"path": path})
