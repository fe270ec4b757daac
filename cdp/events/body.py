"""The encrypted part of a hot event."""

from typing import Any

import msgspec
from django.conf import settings

_PURPOSE = "event"


class CarriedIdentifier(msgspec.Struct, array_like=True):
    """An identifier that a message carried and what resolution did with it (`cdp.identities.decisions.Use`)."""

    type: str
    digest: bytes
    use: int
    namespace: str = ""


class EventBody(msgspec.Struct, array_like=True):
    """What the columns of an event do not say."""

    message_id: str
    properties: dict[str, Any]
    context: dict[str, Any]
    identifiers: list[CarriedIdentifier]
    warnings: list[str] = []
    category: str = ""
    flags: int = 0
    """What its envelope said: imported history, Global Privacy Control (`cdp.pipeline.message`)."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(EventBody).decode


def seal_body(body: EventBody) -> bytes:
    """The encrypted bytes of `body`."""
    return settings.KEYRING.encrypt(_PURPOSE, _encode(body))


def open_body(sealed: bytes | memoryview) -> EventBody:
    """What `seal_body` was given. Raises KeyMissing."""
    return _decode(settings.KEYRING.decrypt(_PURPOSE, sealed))
