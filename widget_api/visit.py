"""Who asks: the widget key, the page's origin, the visitor's address; and how often they may."""

import math

import msgspec
from django.conf import settings
from django.http import HttpRequest

from cdp.access.throttles import seconds_to_next_minute, within_limit
from cdp.core.errors import DomainError
from cdp.pipeline.visitor import network_of, origin_allowed, request_address
from widget_api.keys import KeyRef, widget_key_of


class UnknownKey(DomainError):
    """No enabled key has this text."""

    code = "unknown_key"
    status = 401


class WrongOrigin(DomainError):
    """The key is not for pages of this origin."""

    code = "origin_not_allowed"
    status = 403


class TooMany(DomainError):
    """Over a limit; `seconds` until the next request may succeed."""

    code = "rate_limited"
    status = 429

    def __init__(self, seconds: int = 0) -> None:
        self.seconds = seconds or max(1, math.ceil(seconds_to_next_minute()))
        super().__init__(f"Too many requests. Try again in {self.seconds} s.", details={"retry_after": self.seconds})


class Visit(msgspec.Struct, frozen=True):
    """A request that may be answered. `origin` is blank for a server's; `network` is what limits are counted by."""

    key: KeyRef
    origin: str
    network: str


def visit_of(request: HttpRequest) -> Visit:
    """The visit that a browser's request belongs to. Raises UnknownKey, WrongOrigin."""
    key = key_of(request)
    origin = _origin(request)
    if origin != settings.PUBLIC_URL and not origin_allowed(origin, key.origins):
        raise WrongOrigin("Pages of this origin may not use this key. Add the origin to the key.")
    return Visit(key, origin, network_of(request_address(request)))


def key_of(request: HttpRequest) -> KeyRef:
    """The key that the query names: there, because a pre-flight carries no headers of ours. Raises UnknownKey."""
    key = widget_key_of(request.GET.get("key", ""))
    if key is None:
        raise UnknownKey("No enabled widget key has this text. Compare `key` with the key's page in the console.")
    return key


def count_visit(visit: Visit) -> None:
    """Count one request of the visitor, and of the key. Raises TooMany when either is over its limit."""
    key = visit.key
    if not within_limit(f"widget:{key.id}:{visit.network}", key.visitor_limit):
        raise TooMany
    if not within_limit(f"widget:{key.id}", key.rate_limit):
        raise TooMany


def count_open_lookup(visit: Visit) -> None:
    """Count one look-up without a token. Raises TooMany."""
    if not within_limit(f"widget:{visit.key.id}:open:{visit.network}", visit.key.open_limit):
        raise TooMany


def count_signed(key: KeyRef) -> None:
    """Count one request of the shop's server, apart from those of visitors, who could use up its share."""
    if not within_limit(f"widget:{key.id}:signed", key.rate_limit):
        raise TooMany


def _origin(request: HttpRequest) -> str:
    """The page's origin. A browser leaves it out only where the page is one of ours, and says so."""
    said = request.headers.get("Origin", "")
    if not said and request.headers.get("Sec-Fetch-Site") == "same-origin":
        return f"{request.scheme}://{request.get_host()}"
    return said
