"""A message as the wire has it (WIRE.md), and the envelope in which the inbox and the quarantine keep it."""

import hashlib
import os
from typing import Any

import msgspec

from cdp.core.crypto import Keyring

CALLS = {"track": 1, "identify": 2, "page": 3, "screen": 4, "group": 5, "alias": 6}

HISTORICAL = 1
"""Flag: imported history; fires no triggers."""
PRIVACY_CONTROL = 2
"""Flag: the request said `Sec-GPC: 1`."""


class Message(msgspec.Struct, rename="camel"):
    """One call of an SDK. Ids may be numbers. `profileId` addresses a profile directly; only server sources may."""

    type: str
    message_id: str | int | None = None
    user_id: str | int | float | None = None
    anonymous_id: str | int | float | None = None
    profile_id: str | None = None
    previous_id: str | int | float | None = None
    group_id: str | int | float | None = None
    event: str | int | float | None = None
    name: str | int | float | None = None
    category: str | int | float | None = None
    timestamp: Any = None
    original_timestamp: Any = None
    sent_at: Any = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


class Envelope(msgspec.Struct, array_like=True):
    """A message exactly as it came, with what its batch and request said beside it."""

    message: msgspec.Raw
    sent_at: Any = None
    context: dict[str, Any] | None = None
    flags: int = 0


decode_message = msgspec.json.Decoder(Message).decode
_decode_envelope = msgspec.json.Decoder(Envelope).decode
_encode = msgspec.json.Encoder().encode


def seal(keyring: Keyring, envelope: Envelope) -> bytes:
    """The encrypted bytes of `envelope`."""
    return keyring.encrypt("message", _encode(envelope))


def unseal(keyring: Keyring, body: bytes) -> Envelope:
    """The envelope of `seal`. Raises KeyMissing."""
    return _decode_envelope(keyring.decrypt("message", body))


def digest_of(source_id: int, message_id: str) -> bytes:
    """The event's id: the first 16 bytes of SHA-256(source, messageId)."""
    return hashlib.sha256(f"{source_id}\0{message_id}".encode("utf-8", "surrogatepass")).digest()[:16]


def derived_message_id(message: Message, raw: bytes) -> str:
    """An id for a message without one: of its body when it has a timestamp, so that a retry is known; else random."""
    if message.timestamp is None and message.original_timestamp is None:
        return "random-" + os.urandom(16).hex()
    body = msgspec.json.decode(raw)
    body.pop("sentAt", None)
    return "body-" + hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
