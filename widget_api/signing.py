"""Signed requests of the shop's server: the time and the body are signed, and no request counts twice."""

import hashlib
import hmac

from django.http import HttpRequest

from cdp.core.clock import SECOND
from cdp.core.errors import DomainError
from widget_api.keys import KeyRef
from widget_api.models import UsedNonce
from widget_api.tokens import signature

WINDOW_SECONDS = 300
"""How far the time of a request may be from ours, either way."""
_NOBODY = b"\0" * 32


class BadSignature(DomainError):
    """The request is not signed as it must be, is too old, or came before."""

    code = "invalid_signature"
    status = 401


def text_to_sign(timestamp: str, nonce: str, method: str, path: str, body: bytes) -> str:
    """What the signature is made over: five lines and the SHA-256 of the body in hex; `path` has its query."""
    return "\n".join(("v1", timestamp, nonce, method, path, hashlib.sha256(body).hexdigest()))


def require_signature(request: HttpRequest, key: KeyRef, *, now: int) -> str:
    """Raise BadSignature unless a secret of `key` signed this request, now (µs) and for the first time.

    Headers: `X-Timestamp` (seconds since 1970), `X-Nonce` (8 to 64 characters, new for each request) and `X-Signature`
    (`v1.<key id>.<signature>`). Returns the key id. Writes the nonce in a statement of its own.
    """
    timestamp, nonce = request.headers.get("X-Timestamp", ""), request.headers.get("X-Nonce", "")
    version, kid, said = [*request.headers.get("X-Signature", "").split("."), "", "", ""][:3]
    wanted = signature(
        key.secrets.get(kid, _NOBODY),
        text_to_sign(timestamp, nonce, request.method or "", request.get_full_path(), request.body),
    )
    good = hmac.compare_digest(said.encode(), wanted.encode())
    if not good or version != "v1" or kid not in key.secrets:
        raise BadSignature("Sign the request with an active secret: X-Timestamp, X-Nonce and X-Signature.")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise BadSignature("X-Timestamp must be whole seconds since 1970.")
    if abs(int(timestamp) * SECOND - now) > WINDOW_SECONDS * SECOND:
        raise BadSignature(f"X-Timestamp is more than {WINDOW_SECONDS} seconds from now.", code="stale_request")
    if not 8 <= len(nonce) <= 64:
        raise BadSignature("X-Nonce must have 8 to 64 characters.")
    _use(f"{key.id}\0{nonce}", expires=int(timestamp) * SECOND + (WINDOW_SECONDS + 1) * SECOND, now=now)
    return kid


def _use(nonce: str, *, expires: int, now: int) -> None:
    """Keep `nonce` until nobody could use it again. Raises BadSignature when it is there already."""
    UsedNonce.objects.filter(expires__lt=now).delete()
    digest = hashlib.sha256(nonce.encode("utf-8", "surrogatepass")).digest()
    _, is_new = UsedNonce.objects.get_or_create(digest=digest, defaults={"expires": expires})
    if not is_new:
        raise BadSignature("This request was answered before: use a new X-Nonce.", code="replayed")
