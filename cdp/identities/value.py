"""The encrypted part of an identifier."""

from typing import Any

import msgspec
from django.conf import settings

_PURPOSE = "identifier"


class IdentifierBody(msgspec.Struct, array_like=True, omit_defaults=True):
    """The normalised value, what was sent, and what 001 keeps beside it."""

    value: str
    raw: str = ""
    provider: str = ""
    metadata: dict[str, Any] | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(IdentifierBody).decode


def seal_identifier(body: IdentifierBody) -> bytes:
    """The encrypted bytes of `body`."""
    return settings.KEYRING.encrypt(_PURPOSE, _encode(body))


def open_identifier(sealed: bytes | memoryview) -> IdentifierBody:
    """What `seal_identifier` was given. Raises KeyMissing."""
    return _decode(settings.KEYRING.decrypt(_PURPOSE, sealed))
