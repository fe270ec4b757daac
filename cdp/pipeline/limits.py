"""What the settings say about the door."""

from typing import Self

import msgspec
from django.conf import settings

from cdp.pipeline.visitor import require_networks


class Limits(msgspec.Struct, frozen=True):
    """Read once: a look at Django's settings costs 0.2 µs, and each message needs several."""

    event_bytes: int
    batch_bytes: int
    batch_events: int
    backlog: int
    """How many messages may wait in the inbox."""
    proxies: tuple[str, ...]
    full_addresses: bool

    @classmethod
    def of_settings(cls) -> Self:
        """Those that are set now. Raises ImproperlyConfigured for a proxy that is no network."""
        require_networks(settings.TRUSTED_PROXIES)
        return cls(
            event_bytes=settings.MAX_EVENT_BYTES,
            batch_bytes=settings.MAX_BATCH_BYTES,
            batch_events=settings.MAX_BATCH_EVENTS,
            backlog=settings.MAX_BACKLOG,
            proxies=tuple(settings.TRUSTED_PROXIES),
            full_addresses=settings.KEEP_FULL_IP,
        )
