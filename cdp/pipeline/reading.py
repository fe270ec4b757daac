"""What a message says: its time, its identifiers, its traits, what it is called, what was bought."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
from django.conf import settings
from django.utils.module_loading import import_string

from cdp.access.source import SourceRef
from cdp.core.clock import DAY, HOUR, parse_time
from cdp.core.crypto import Keyring
from cdp.events.money import money
from cdp.events.vocabulary import event_type, known_type
from cdp.identities.decisions import Use
from cdp.identities.normalise import as_text
from cdp.identities.resolve import Candidate
from cdp.identities.rules import Kind, Rules, digest, digests
from cdp.identities.suppression import KINDS, suppression_digest
from cdp.pipeline.message import Envelope, Message, decode_message

_MAX_AHEAD = 23 * HOUR
UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, UnicodeError)
"""What reading something that is no message may raise."""


@dataclass(slots=True)
class Reading:
    """A message as the pipeline understands it. `ts` and `received` in microseconds."""

    digest: bytes
    source: SourceRef
    received: int
    ts: int
    message: Message
    message_id: str
    context: dict[str, Any]
    traits: dict[str, Any]
    type: str
    name: str
    flags: int
    candidates: list[Candidate]
    session_key: str | None
    warnings: list[str] = field(default_factory=list)
    purchase: tuple[int, str] | None = None
    profile_id: int | None = None


class Reader:
    """Reads messages under one set of rules and keys. `versions` collects the digests to look up, by candidate."""

    def __init__(self, rules: Rules, keyring: Keyring) -> None:
        self.rules = rules
        self.keyring = keyring
        self.versions: dict[bytes, list[bytes]] = {}
        self._suppressions: dict[bytes, bytes] = {}
        self._several = len(keyring.versions) > 1
        self._known: dict[tuple[str, str], tuple[Kind, str, str | None, bytes]] = {}

    def read(self, envelope: Envelope, *, digest: bytes, source: SourceRef, received: int) -> Reading:
        """What `envelope` says. Raises msgspec.DecodeError for what is no message."""
        message = decode_message(envelope.message)
        context = {**(envelope.context or {}), **(message.context or {})}
        warnings: list[str] = []
        ts = corrected_time(message, envelope.sent_at, received, warnings)
        traits = _traits(message, context)
        name = _name(message)
        kind = _stated_type(context) or event_type(message.type, name)
        session = context.get("sessionId")
        reading = Reading(
            digest=digest,
            source=source,
            received=received,
            ts=ts,
            message=message,
            message_id="" if message.message_id is None else str(message.message_id),
            context=context,
            traits=traits,
            type=kind,
            name=name,
            flags=envelope.flags,
            candidates=[],
            session_key=as_text(session) if session is not None else None,
            warnings=warnings,
        )
        if kind == "PURCHASE" and message.type == "track":
            reading.purchase = money(message.properties or {}, warnings)
        reading.candidates = list(self._candidates(reading))
        return reading

    def suppressible(self, candidates: Iterable[Candidate]) -> list[bytes]:
        """The digests under which those of the candidates that can be suppressed would be (rule 14)."""
        return [
            self._suppression(candidate)
            for candidate in candidates
            if candidate.kind.code in KINDS and candidate.use is not Use.BLOCKED
        ]

    def _suppression(self, candidate: Candidate) -> bytes:
        found = self._suppressions.get(candidate.digest)
        if found is None:
            found = suppression_digest(self.keyring, candidate.kind, candidate.namespace, candidate.value)
            self._suppressions[candidate.digest] = found
        return found

    def _candidates(self, reading: Reading) -> Iterable[Candidate]:
        message, seen = reading.message, set()
        proven = _proven_user(reading)
        for code, value in _named_identifiers(message, reading.context, reading.traits):
            text = as_text(value)
            if text is None:
                continue
            kind, namespace, spelling, key = self._index(code, text)
            if key in seen:
                continue
            seen.add(key)
            blocked = spelling is None
            vouched = proven is not None and code == "user_id" and text == proven
            links = kind.joins and not blocked and (reading.source.trusted or kind.browser_finds or vouched)
            use = Use.BLOCKED if blocked else Use.FOUND if links else Use.UNTRUSTED if kind.joins else Use.LOOKUP_ONLY
            yield Candidate(kind, namespace, key, spelling or text[:200], text[:200], links, use, trusted=vouched)

    def _index(self, code: str, text: str) -> tuple[Kind, str, str | None, bytes]:
        found = self._known.get((code, text))
        if found is None:
            kind, namespace = self.rules.kind(code)
            spelling = self.rules.spelling(kind, text)
            key = digest(self.keyring, kind, namespace, spelling if spelling is not None else f"\0{text}")
            if spelling is not None:
                all_ = digests(self.keyring, kind, namespace, spelling) if self._several else [key]
                self.versions[key] = all_
            found = self._known[code, text] = kind, namespace, spelling, key
        return found


def _proven_user(reading: Reading) -> str | None:
    """The user id that the message's signed token proves (IDENTITY.md rule 13). A server source needs none."""
    token = reading.context.get("identityToken")
    if reading.source.trusted or not isinstance(token, str) or not settings.IDENTITY_TOKENS:
        return None
    prove: Callable[..., str | None] = _named(settings.IDENTITY_TOKENS)
    return prove(token, source_id=reading.source.id, at=reading.received)


_named = cache(import_string)


def corrected_time(message: Message, sent_at: object, received: int, warnings: list[str]) -> int:
    """The event's time: `received − (sentAt − timestamp)` (WIRE.md), never more than 23 hours ahead of `received`."""
    sent = sent_at if sent_at is not None else message.sent_at
    stated = message.original_timestamp if message.original_timestamp is not None else message.timestamp
    if stated is None:
        return received
    original = parse_time(stated)
    if original is None:
        warnings.append("unparsable_timestamp")
        return received
    sent_us = None if sent is None else parse_time(sent)
    ts = original if sent_us is None else received - (sent_us - original)
    if ts > received + _MAX_AHEAD:
        warnings.append("timestamp_in_the_future")
        return received
    if ts < -3000 * 365 * DAY:
        warnings.append("unparsable_timestamp")
        return received
    return ts


def _traits(message: Message, context: Mapping[str, Any]) -> dict[str, Any]:
    """The traits of an identify (RudderStack puts them in the context: both are read); others carry none to store."""
    if message.type != "identify":
        return {}
    within = context.get("traits")
    return {**(within if isinstance(within, dict) else {}), **(message.traits or {})}


def _name(message: Message) -> str:
    if message.type == "track":
        text = as_text(message.event) or ""
    elif message.type in ("page", "screen"):
        text = as_text(message.name) or as_text(message.category) or message.type
    else:
        text = message.type
    text = text.replace("\0", "").strip()
    return "(withheld: looks personal)" if "@" in text else text[:200]


def _stated_type(context: Mapping[str, Any]) -> str | None:
    """The type that the REST API's `eventType` states beside a name of its own."""
    stated = context.get("eventType")
    return known_type(stated) if isinstance(stated, str) else None


def _named_identifiers(
    message: Message, context: Mapping[str, Any], traits: Mapping[str, Any]
) -> Iterable[tuple[str, object]]:
    """(type, value) of everything in a message that may identify."""
    if message.user_id is not None:
        yield "user_id", message.user_id
    if message.anonymous_id is not None:
        yield "anonymous_id", message.anonymous_id
    if message.type == "alias" and message.previous_id is not None:
        yield "user_id", message.previous_id
        yield "anonymous_id", message.previous_id
    said = traits
    if not said and isinstance(context.get("traits"), dict):
        said = context["traits"]
    for key in ("email", "phone"):
        if said.get(key) is not None:
            yield key, said[key]
    device = context.get("device")
    if isinstance(device, dict) and device.get("id") is not None:
        yield "device_id", device["id"]
    externals = context.get("externalIds")
    if isinstance(externals, list):
        for item in externals[:50]:
            if isinstance(item, dict) and isinstance(item.get("type"), str) and item.get("id") is not None:
                yield item["type"].strip()[:100] or "external", item["id"]
