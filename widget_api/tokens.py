"""The signed customer token: the shop's server says who the visitor is, for up to an hour.

`v1.<key id>.<claims>.<signature>`: the claims are the base64url (without `=`) of a JSON object with `sub` (the customer
id), `iat` and `exp` (seconds since 1970) and `aud` (the publishable key); the signature is the base64url of
HMAC-SHA256 over everything before its dot, keyed with the UTF-8 bytes of the secret.
"""

import base64
import binascii
import hmac
from typing import NoReturn

import msgspec
from django.conf import settings

from cdp.core.clock import SECOND
from cdp.core.errors import DomainError
from widget_api.keys import KeyRef, widget_key_of_source

MAX_SECONDS = 3600
SKEW_SECONDS = 60
"""How far the shop's clock may be ahead of ours."""
_MAX_TOKEN = 4096
_MAX_SUBJECT = 200
_NOBODY = b"\0" * 32


class BadToken(DomainError):
    """The token proves nothing. Which check it failed is said only of a token that was signed by us."""

    code = "invalid_token"
    status = 401


class Claims(msgspec.Struct, frozen=True):
    """What a token says; times are seconds since 1970."""

    sub: str
    iat: int
    exp: int
    aud: str


_decode = msgspec.json.Decoder(Claims).decode


def signature(secret: bytes, text: str) -> str:
    """The base64url of HMAC-SHA256 of `text`, without `=`."""
    digest = hmac.digest(secret, text.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def sign_token(customer: str, key: KeyRef, *, now: int, seconds: int = MAX_SECONDS) -> str:
    """A token for `customer`, good from `now` (µs) for `seconds`, made with a secret of `key`; there must be one."""
    kid, secret = next(iter(key.secrets.items()))
    issued = now // SECOND
    claims = msgspec.json.encode(Claims(customer, issued, issued + seconds, key.key))
    signed = f"v1.{kid}.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}"
    return f"{signed}.{signature(secret, signed)}"


def customer_digest(customer: str) -> str:
    """How a customer id stands in the record of reads: by its keyed digest, in hex."""
    return settings.KEYRING.digest("customer", customer).hex()


def customer_of(token: str, key: KeyRef, *, now: int) -> str:
    """The customer id that `token` proves for `key` at the time `now` (µs). Raises BadToken."""
    claims = _claims(token, key)
    if claims.aud != key.key:
        _refuse("It was made for another key: `aud` must be the publishable key of this page.")
    if claims.iat * SECOND > now + SKEW_SECONDS * SECOND:
        _refuse("`iat` lies in the future: set the clock of the server that signs.")
    if not 0 < claims.exp - claims.iat <= MAX_SECONDS:
        _refuse(f"`exp` may be at most {MAX_SECONDS} seconds after `iat`.")
    if claims.exp * SECOND <= now:
        raise BadToken("The token has expired. Ask the shop's server for a new one.", code="token_expired")
    if not claims.sub.strip() or len(claims.sub) > _MAX_SUBJECT:
        _refuse(f"`sub` must be the customer id, of up to {_MAX_SUBJECT} characters.")
    return claims.sub


def proven_user(token: str, *, source_id: int, at: int) -> str | None:
    """The user id that a message's `context.identityToken` proves, or None.

    The message came from the browser source `source_id` at the time `at` (µs): the token must have been good then.
    """
    key = widget_key_of_source(source_id)
    if key is None:
        return None
    try:
        return customer_of(token, key, now=at)
    except BadToken:
        return None


def _claims(token: str, key: KeyRef) -> Claims:
    parts = token.split(".") if len(token) <= _MAX_TOKEN and token.isascii() else []
    if len(parts) != 4 or parts[0] != "v1":
        _refuse("A token has the form v1.<key id>.<claims>.<signature>.")
    _, kid, body, said = parts
    # An unknown key id takes as long as a wrong signature.
    wanted = signature(key.secrets.get(kid, _NOBODY), f"v1.{kid}.{body}")
    if not hmac.compare_digest(said, wanted) or kid not in key.secrets:
        _refuse("The signature is wrong, or its secret was retired.")
    try:
        return _decode(base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        _refuse("The claims must be the base64url of a JSON object with `sub`, `iat`, `exp` and `aud`.")


def _refuse(message: str) -> NoReturn:
    raise BadToken(message)
