"""Is one message usable? A pure function, the same at the door, in imports, in the REST API and in a replay."""

import hashlib
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from cdp.access.source import SourceRef
from cdp.core import clock
from cdp.core.json import cut_deep, has_nul, nested_deeper
from cdp.pipeline.message import CALLS, MAX_NESTING, Message, derived_message_id, digest_of
from cdp.pipeline.reading import corrected_time

MAX_MESSAGE_ID = 100
MAX_NAME = 200
BROWSER_HISTORY = 7 * clock.DAY


class Checked(msgspec.Struct):
    """A message with its digest; `code` is empty when it is usable, else stable, and `reason` says what to do.

    A usable message that names no `message_id` is known by its event's id: the digest as a UUID.
    """

    raw: bytes
    digest: bytes
    message_id: str
    code: str = ""
    reason: str = ""


class _Incoming(Message):
    type: str = ""


class _Id(msgspec.Struct, rename="camel"):
    message_id: Any = None


class _Refusal(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


_decode = msgspec.json.Decoder(_Incoming).decode
_decode_id = msgspec.json.Decoder(_Id).decode


def checked(
    raw: bytes,
    *,
    source: SourceRef,
    received: int,
    max_bytes: int,
    sent_at: object = None,
    call: str = "",
    plain: bool = False,
) -> Checked:
    """Check the JSON text `raw` of one message that came at `received` (µs); never raises for what it holds.

    It may have `max_bytes`. `sent_at` is the batch's. `call` is the endpoint's type, written into a message that says
    none or another one. `plain`: it is known to be ASCII without a backslash.
    """
    try:
        message, raw = _decoded(raw, call, max_bytes, plain=plain)
        _require(message, source, received, sent_at)
        given = _given_id(message)
        digest = digest_of(source.id, given or _derived_id(message, raw))
        return Checked(raw, digest, given or str(UUID(bytes=digest)))
    except _Refusal as refusal:
        raw = _typed(raw, call)
        message_id = _rescued_id(raw)
        return Checked(raw, digest_of(source.id, message_id), message_id[:MAX_MESSAGE_ID], refusal.code, refusal.reason)


def _decoded(raw: bytes, call: str, max_bytes: int, *, plain: bool) -> tuple[_Incoming, bytes]:
    if len(raw) > max_bytes:
        raise _Refusal("too_large", f"A message may have {max_bytes} bytes; make it smaller.")
    if not plain and not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise _Refusal("not_utf8", "The message is not UTF-8 text; encode it as UTF-8.") from None
    if nested_deeper(raw, MAX_NESTING):
        raise _Refusal("too_deep", f"Objects and lists may be nested {MAX_NESTING} deep; flatten the message.")
    if not plain and has_nul(raw):
        raise _Refusal("nul_character", "The message holds the character \\u0000; remove it.")
    try:
        message = _decode(raw)
    except msgspec.ValidationError as error:
        raise _Refusal("wrong_type", f"A field has the wrong type: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Refusal("bad_json", f"The message is not valid JSON: {error}.") from None
    if call and message.type != call:
        raw = _with_type(raw, call, said=bool(message.type) or b'"type"' in raw)
        message.type = call
    return message, raw


def _with_type(raw: bytes, call: str, *, said: bool) -> bytes:
    if said:
        fields = {name: value for name, value in _fields(raw).items() if name != "type"}
        return msgspec.json.encode({"type": msgspec.Raw(msgspec.json.encode(call)), **fields})
    inner = raw.strip()[1:].lstrip()
    return b'{"type":"%b"%b%b' % (call.encode(), b"" if inner == b"}" else b",", inner)


def _typed(raw: bytes, call: str) -> bytes:
    """A refused message, told its type if that can be done, so that a replay knows it without the endpoint."""
    try:
        return raw if not call or "type" in _fields(raw) else _with_type(raw, call, said=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw


def _fields(raw: bytes) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])


def _require(message: _Incoming, source: SourceRef, received: int, sent_at: object) -> None:
    if message.type not in CALLS:
        raise _Refusal("unknown_type", f"`type` must be one of {', '.join(CALLS)}.")
    if message.profile_id is not None:
        if not source.trusted:
            raise _Refusal("profile_id_not_allowed", "Only a server source may address a profile by `profileId`.")
        if not _is_uuid(message.profile_id):
            raise _Refusal("bad_profile_id", "`profileId` must be the UUID of a profile.")
    elif not _given(message.user_id) and not _given(message.anonymous_id) and not (source.trusted and _named(message)):
        raise _Refusal("missing_id", "Give `userId` or `anonymousId`.")
    if message.type == "track":
        if not _given(message.event):
            raise _Refusal("missing_event", "A track call needs the name of its `event`.")
        if len(str(message.event)) > MAX_NAME:
            raise _Refusal("event_name_too_long", f"The name of an `event` may have {MAX_NAME} characters.")
    elif message.type == "alias" and not _given(message.previous_id) and not _given(message.anonymous_id):
        raise _Refusal("missing_previous_id", "An alias call needs `previousId` beside `userId`.")
    if not source.trusted and corrected_time(message, sent_at, received, []) < received - BROWSER_HISTORY:
        raise _Refusal("timestamp_too_old", "A browser source may send what is at most 7 days old.")


def _named(message: _Incoming) -> bool:
    """Whether an e-mail, a phone number, a device or an external id says whose message it is: enough from a server."""
    context = message.context or {}
    said = message.traits if message.type == "identify" else None
    within, device = context.get("traits"), context.get("device")
    people = [part for part in (said, within) if isinstance(part, dict)]
    if any(_given(part.get(code)) for part in people for code in ("email", "phone")):
        return True
    return bool(context.get("externalIds")) or (isinstance(device, dict) and _given(device.get("id")))


def _given_id(message: _Incoming) -> str:
    """The `messageId` that the sender gave, or blank."""
    given = "" if message.message_id is None else str(message.message_id)
    if len(given) > MAX_MESSAGE_ID:
        raise _Refusal("message_id_too_long", f"A `messageId` may have {MAX_MESSAGE_ID} characters.")
    return given


def _derived_id(message: _Incoming, raw: bytes) -> str:
    try:
        return derived_message_id(message, raw)
    except (msgspec.DecodeError, OverflowError) as error:
        raise _Refusal("bad_json", f"The message has no `messageId`, and none can be made: {error}.") from None


def _rescued_id(raw: bytes) -> str:
    """The id under which a refused message is kept: its own if it can be read, else one of its bytes."""
    fallback = hashlib.sha256(raw).hexdigest()
    try:
        given = _decode_id(cut_deep(raw, at=2, limit=MAX_NESTING, mark=fallback)[0]).message_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        given = None
    if isinstance(given, str | int) and not isinstance(given, bool) and not str(given).startswith(fallback):
        return str(given) or f"raw-{fallback}"
    return f"raw-{fallback}"


def _given(value: object) -> bool:
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


@lru_cache(4096)
def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
