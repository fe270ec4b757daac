"""Who is at the door: the client's address, the page it came from, and how often it comes."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

_BUCKETS = 100_000


def require_networks(networks: Sequence[str]) -> None:
    """Raise ImproperlyConfigured unless all of TRUSTED_PROXIES are addresses or networks."""
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}. Give addresses or networks.") from None


def request_address(request: HttpRequest) -> str:
    """The address of whoever sent `request`, as TRUSTED_PROXIES lets us believe it."""
    forwarded = request.headers.get("X-Forwarded-For", "").encode("latin-1", "replace")
    peer = (request.META.get("REMOTE_ADDR", ""), 0)
    return client_address(
        {"client": peer, "headers": [(b"x-forwarded-for", forwarded)]}, tuple(settings.TRUSTED_PROXIES)
    )


def client_address(scope: Mapping[str, Any], proxies: tuple[str, ...]) -> str:
    """The client's address; behind one of `proxies` the last one in X-Forwarded-For that is none of them."""
    peer: str = scope["client"][0] if scope.get("client") else ""
    if not proxies or not _among(peer, proxies):
        return peer
    said = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
    for part in reversed([part.strip() for part in said.split(",") if part.strip()]):
        if not _is_address(part):
            return peer
        if not _among(part, proxies):
            return part
        peer = part
    return peer


@lru_cache(1024)
def origin_allowed(origin: str, allowed: tuple[str, ...]) -> bool:
    """Whether a page of `origin` may send: it is listed, or matches an entry such as `https://*.shop.example`."""
    origin = origin.lower().rstrip("/")
    for entry in allowed:
        wanted = entry.lower().rstrip("/")
        if wanted in {origin, "*"}:
            return True
        scheme, star, domain = wanted.partition("://*.")
        if star and origin.startswith(f"{scheme}://") and origin.endswith(f".{domain}"):
            return True
    return False


class RateLimit:
    """A token bucket for each key and network; the least recent goes when there are too many. Counts this process."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def wait(self, key: str, address: str, per_minute: int, *, now: float) -> int:
        """Take one request of `per_minute`; 0 when there was one, else the whole seconds until there is one again."""
        place = key, network_of(address)
        left, then = self._buckets.pop(place, (per_minute, now))
        left = min(per_minute, left + (now - then) * per_minute / 60)
        wait = 0 if left >= 1 else max(1, math.ceil((1 - left) * 60 / per_minute))
        self._buckets[place] = left - 1 if wait == 0 else left, now
        if len(self._buckets) > _BUCKETS:
            self._buckets.popitem(last=False)
        return wait


@lru_cache(4096)
def network_of(address: str) -> str:
    """Whose requests are counted together: one IPv6 customer has a /64 full of addresses. Else the address itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4 or found.ipv4_mapped is not None:
        return str(found if found.version == 4 else found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


@lru_cache(4096)
def _among(address: str, networks: Sequence[str]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network, strict=False) for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
