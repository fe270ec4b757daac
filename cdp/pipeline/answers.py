"""What the door answers: JSON with CORS headers, whatever happened; errors always with `code` and `message`."""

import base64
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

import msgspec

from cdp.core.errors import DomainError

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_JSON = (b"content-type", b"application/json")
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_ALLOWED_HEADERS = (
    b"authorization, content-type, content-encoding, anonymousid, sentat, x-retry-count, rsa-recovered,"
    b" rsa-retry-attempt, rsa-since-last-attempt"
)
_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", _ALLOWED_HEADERS),
    (b"access-control-max-age", b"86400"),
)


class Answer(msgspec.Struct, frozen=True):
    """Status, body and headers of an answer, without CORS."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (_JSON,)


class Rejection(msgspec.Struct, rename="camel"):
    """One message of a request that was put into quarantine."""

    index: int
    message_id: str
    code: str
    message: str


def taken(ok: int, rejected: Sequence[Rejection] = ()) -> Answer:
    """Exactly 200: `ok` messages are durable, the `rejected` ones are in quarantine."""
    if not rejected:
        return Answer(200, b'{"success":true,"ok":%d,"rejected":[]}' % ok)
    return Answer(200, msgspec.json.encode({"success": True, "ok": ok, "rejected": rejected}))


def refusal(error: DomainError, headers: Mapping[str, str] | None = None) -> Answer:
    """The error as JSON, in the shape of every API of the product."""
    body = {
        "success": False,
        "error": error.code,
        "code": error.code,
        "message": error.message,
        "details": error.details,
    }
    extra = tuple((name.encode(), value.encode()) for name, value in (headers or {}).items())
    return Answer(error.status, msgspec.json.encode(body), (_JSON, *extra))


def pixel() -> Answer:
    """A transparent image of 1×1 that no cache keeps."""
    return Answer(200, GIF, ((b"content-type", b"image/gif"), (b"cache-control", b"no-store")))


def document(value: object) -> Answer:
    """`value` as JSON."""
    return Answer(200, msgspec.json.encode(value))


def preflight(allow: bytes) -> Answer:
    """What a browser asks before it sends."""
    return Answer(204, b"", (*_PREFLIGHT, (b"allow", allow)))


async def send_answer(send: Send, answer: Answer, *, origin: bytes | None, request_id: bytes) -> None:
    """Send `answer` with the id of its request and the CORS headers for `origin`.

    Cookies mean nothing here, so credentials may come along.
    """
    headers: list[tuple[bytes, bytes]] = [*answer.headers, (b"x-request-id", request_id)]
    if origin is None:
        headers.append(_ANY_ORIGIN)
    else:
        headers += (
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        )
    if answer.status != 204:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
