"""What a request of an SDK carries (WIRE.md): its body, its key, its messages. Plain functions over bytes."""

import base64
import binascii
import secrets
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any

import msgspec

from cdp.core.errors import DomainError, Invalid, TooLarge
from cdp.core.json import cut_deep, has_nul, nested_deeper
from cdp.pipeline.message import MAX_NESTING

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Mapping[bytes, bytes]
TooLong = Callable[[int], DomainError]

_GZIP = 16 + zlib.MAX_WBITS
_MAX_BASE64_KEY = 400


class Gone(Exception):
    """The client went away before its request was complete."""


class Batch(msgspec.Struct, rename="camel"):
    """The body of /v1/batch: the messages as they came, and what they share."""

    batch: list[msgspec.Raw]
    write_key: Any = None
    sent_at: Any = None
    context: msgspec.Raw = msgspec.Raw(b"null")
    integrations: msgspec.Raw = msgspec.Raw(b"null")


class _Keyed(msgspec.Struct, rename="camel"):
    write_key: Any = None


_decode_batch = msgspec.json.Decoder(Batch).decode
_decode_keyed = msgspec.json.Decoder(_Keyed).decode


async def body_of(receive: Receive, headers: Headers, *, limit: int, too_large: TooLong) -> bytes:
    """The whole body, inflated if it is gzip.

    Raises `too_large(limit)` beyond `limit` bytes, before or after inflating, Invalid for a broken or unknown encoding,
    Gone when the client left.
    """
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:19]) > limit:
        raise too_large(limit)
    body = await _read(receive, limit, too_large)
    encoding = headers.get(b"content-encoding")
    if encoding is None or encoding.strip().lower() in {b"", b"identity"}:
        return body
    if encoding.strip().lower() not in {b"gzip", b"x-gzip"}:
        raise Invalid("Send the body plain or with Content-Encoding: gzip.", code="unsupported_encoding")
    return _inflated(body, limit, too_large)


async def _read(receive: Receive, limit: int, too_large: TooLong) -> bytes:
    event = await receive()
    body: bytes = event.get("body", b"")
    if event["type"] == "http.request" and not event.get("more_body"):
        if len(body) > limit:
            raise too_large(limit)
        return body
    parts, size = [body], len(body)
    while event["type"] == "http.request" and event.get("more_body"):
        event = await receive()
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise too_large(limit)
    if event["type"] != "http.request":
        raise Gone
    return b"".join(parts)


def _inflated(body: bytes, limit: int, too_large: TooLong) -> bytes:
    parts: list[bytes] = []
    left = limit + 1
    try:
        while body and left > 0:
            member = zlib.decompressobj(_GZIP)
            parts.append(member.decompress(body, left))
            left -= len(parts[-1])
            if left <= 0:
                raise too_large(limit)
            if not member.eof:
                raise Invalid("The gzip body is cut off; send it whole.", code="bad_gzip")
            body = member.unused_data.lstrip(b"\0")
    except zlib.error:
        raise Invalid("The body is not gzip, as Content-Encoding says.", code="bad_gzip") from None
    return b"".join(parts)


def key_of(headers: Headers) -> str | None:
    """The write key of `Authorization: Basic base64("<key>:")` (also without the colon) or `Bearer <key>`."""
    said = headers.get(b"authorization")
    return None if said is None else _key_said(said)


@lru_cache(4096)
def _key_said(said: bytes) -> str | None:
    scheme, _, value = said.partition(b" ")
    value = value.strip()
    if scheme.lower() == b"bearer":
        return value.decode("latin-1") or None
    if scheme.lower() != b"basic" or len(value) > _MAX_BASE64_KEY:
        return None
    try:
        user = base64.b64decode(value + b"=" * (-len(value) % 4)).partition(b":")[0]
        return user.decode() or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def key_in(body: bytes) -> str | None:
    """The `writeKey` in the JSON object `body`. Raises Invalid for what is none."""
    try:
        return _key(_parsed(_decode_keyed, body).write_key)
    except RecursionError:
        raise _too_deep("The body") from None


def batch_of(body: bytes, *, most: int) -> tuple[Batch, str | None]:
    """The batch in `body` and its `writeKey`. Raises Invalid for what is no batch, or has more than `most` messages.

    A message that is nested too deep for a decoder is cut out first and put back as it came, to harm no other.
    """
    try:
        batch = _parsed(_decode_batch, body)
    except RecursionError:
        batch = _rescued(body)
    if len(batch.batch) > most:
        raise Invalid(f"A batch may have {most} messages; send several.", code="too_many_messages")
    return batch, _key(batch.write_key)


def shared_object(raw: msgspec.Raw, name: str, *, limit: int) -> dict[str, Any]:
    """The batch's `context` or `integrations`. Raises Invalid when it is no usable object, TooLarge beyond `limit`."""
    text = bytes(raw)
    if len(text) > limit:
        raise TooLarge(f"The batch's `{name}` may have {limit} bytes.", code=f"{name}_too_large")
    try:
        value = None if has_nul(text) or nested_deeper(text, MAX_NESTING) else msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = None
    if value is None and text.strip() == b"null":
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"The batch's `{name}` must be an object without \\u0000.", code=f"bad_{name}")
    return value


def pixel_message(data: str) -> bytes:
    """The JSON in the pixel's base64url `data`. Raises Invalid."""
    try:
        return base64.urlsafe_b64decode(data.replace("+", "-").replace("/", "_") + "=" * (-len(data) % 4))
    except (binascii.Error, ValueError):
        raise Invalid("Give `data`: the message as base64url of its JSON.", code="bad_data") from None


def _key(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _too_deep(what: str) -> Invalid:
    return Invalid(f"{what} may be nested {MAX_NESTING} deep; flatten it.", code="too_deep")


def _parsed(decode: Callable[[bytes], Any], body: bytes) -> Any:
    """`decode(body)`. Raises Invalid, or RecursionError for what is nested too deep."""
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise Invalid(f"The body is not what this endpoint takes: {error}.", code="bad_body") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"The body is not valid JSON: {error}.", code="bad_json") from None


def _rescued(body: bytes) -> Batch:
    """The batch of a body whose messages, the objects of its third level, are nested too deep for a decoder."""
    mark = secrets.token_hex(16)
    text, taken = cut_deep(body, at=3, limit=MAX_NESTING + 2, mark=mark)
    try:
        batch: Batch = _parsed(_decode_batch, text)
    except RecursionError:
        raise _too_deep("The body") from None
    prefix = f'"{mark}:'.encode()
    if prefix in bytes(batch.context) or prefix in bytes(batch.integrations):
        raise _too_deep("The batch's `context`")
    for index, raw in enumerate(batch.batch):
        if bytes(raw).startswith(prefix):
            batch.batch[index] = msgspec.Raw(taken[int(bytes(raw)[len(prefix) : -1])])
    return batch
