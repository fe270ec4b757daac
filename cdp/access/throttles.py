"""How many requests a minute a key or a user may make.

Counted in Django's cache: over all processes with Redis, else in each process by itself.
"""

import time
from typing import Any

from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from cdp.access.models import ApiKey

USER_LIMIT = 6000
_MINUTE = 60


class KeyThrottle(BaseThrottle):
    """Fixed minutes: the limit of the key, or `USER_LIMIT` for a person who signed in. A key with limit 0 has none."""

    def allow_request(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - the framework's interface
        """Count the request; false when it is over the limit."""
        key = request.auth
        if isinstance(key, ApiKey):
            who, limit = f"key:{key.pk}", key.rate_limit
        else:
            who, limit = f"user:{request.user.pk}", USER_LIMIT
        return limit == 0 or within_limit(who, limit)

    def wait(self) -> float:
        """Seconds until the next minute."""
        return seconds_to_next_minute()


def within_limit(who: str, limit: int) -> bool:
    """Count one request of `who`; false when it is over the `limit` of this minute."""
    slot = f"throttle:{who}:{int(time.time()) // _MINUTE}"
    cache.add(slot, 0, timeout=2 * _MINUTE)
    try:
        return cache.incr(slot) <= limit
    except ValueError:  # it went between the two calls
        return True


def seconds_to_next_minute() -> float:
    """When whoever is over a limit may come again."""
    return _MINUTE - time.time() % _MINUTE
