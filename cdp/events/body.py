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


class Said(msgspec.Struct, array_like=True):
    """Of an `EventBody` what history keeps; the rest is passed over without being decoded."""

    message_id: msgspec.Raw
    properties: dict[str, Any]
    context: dict[str, Any]
    identifiers: msgspec.Raw
    warnings: msgspec.Raw = msgspec.Raw()
    category: msgspec.Raw = msgspec.Raw()
    flags: int = 0

    @property
    def imported(self) -> bool:
        """Whether it is imported history (the flag HISTORICAL of its envelope)."""
        return bool(self.flags & 1)


_decode_said = msgspec.json.Decoder(Said).decode


def open_said(sealed: bytes | memoryview) -> Said:
    """The part of a sealed body that history keeps, in half the time. Raises KeyMissing."""
    return _decode_said(settings.KEYRING.decrypt(_PURPOSE, sealed))
