"""A message as the wire has it (WIRE.md), and the envelope in which the inbox and the quarantine keep it."""

import base64
import hashlib
import os
from collections.abc import Callable
from typing import Any

import msgspec

from cdp.core.crypto import Keyring
from cdp.core.json import nested_deeper

CALLS = {"track": 1, "identify": 2, "page": 3, "screen": 4, "group": 5, "alias": 6}

MAX_NESTING = 100
"""How deep a message may be nested: far from where a recursive decoder stops."""
HISTORICAL = 1
"""Flag: imported history; fires no triggers."""
PRIVACY_CONTROL = 2
"""Flag: the request said `Sec-GPC: 1`."""
UNREADABLE = 4
"""Flag of a quarantined message that is no JSON: `message` is the base64 string of its bytes."""


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
    integrations: dict[str, Any] | None = None


decode_message = msgspec.json.Decoder(Message).decode
_decode_envelope = msgspec.json.Decoder(Envelope).decode
_encode = msgspec.json.Encoder().encode


Seal = Callable[[bytes], bytes]


def seal(keyring: Keyring, envelope: Envelope) -> bytes:
    """The encrypted bytes of `envelope`."""
    return keyring.encrypt("message", _encode(envelope))


def tail_of(envelope: Envelope) -> bytes:
    """All of an encoded envelope but its message: encoded once for all messages of a request (`seal_raw`)."""
    return _encode(envelope)[len(envelope.message) + 1 :]


def sealer(keyring: Keyring) -> Seal:
    """What seals the messages of one request (`seal_raw`)."""
    return keyring.sealer("message")


def seal_raw(seal: Seal, raw: bytes, tail: bytes) -> bytes:
    """What the function `seal` gives for an envelope with the message `raw` and the rest `tail`."""
    return seal(b"[" + raw + tail)


def quoted(raw: bytes, envelope: Envelope) -> Envelope:
    """`envelope` with the message `raw` as it came, or as base64 when it is no JSON that can be read back."""
    try:
        raw.decode()
        msgspec.json.decode(raw)
        readable = not nested_deeper(raw, MAX_NESTING)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        readable = False
    message = raw if readable else msgspec.json.encode(base64.b64encode(raw).decode())
    flags = envelope.flags & ~UNREADABLE if readable else envelope.flags | UNREADABLE
    return msgspec.structs.replace(envelope, message=msgspec.Raw(message), flags=flags)


def original(envelope: Envelope) -> bytes:
    """The bytes of the message as it came."""
    if envelope.flags & UNREADABLE:
        return base64.b64decode(msgspec.json.decode(envelope.message))
    return bytes(envelope.message)


def unseal(keyring: Keyring, body: bytes | memoryview) -> Envelope:
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
