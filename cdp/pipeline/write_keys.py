"""From a write key to its source without a wait in the event loop, and the refusals that have to do with keys."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from django.db import Error, connection

from cdp.access.keys import source_of
from cdp.access.source import SourceRef
from cdp.core.errors import DomainError, Unavailable

log = logging.getLogger(__name__)

_KEEP_SECONDS = 1.0
_KEPT = 10_000
_HINT = 4
_LOG_SECONDS = 60.0


class Unauthorized(DomainError):
    """No key, or one that belongs to no enabled source."""

    code = "unauthorized"
    status = 401


class Forbidden(DomainError):
    """The key is good but not for this."""

    code = "forbidden"
    status = 403


class TooMany(DomainError):
    """Over the rate limit; `seconds` until the next request."""

    code = "rate_limited"
    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many requests with this key. Send again in {seconds} s.")
        self.seconds = seconds


class WriteKeys:
    """Looks keys up in a thread (`cdp.access.keys.source_of`) and keeps the good ones for a second."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, SourceRef]] = {}
        self._thread = ThreadPoolExecutor(1, "write-keys")
        self._logged: dict[str, float] = {}

    def known(self, key: str | None) -> SourceRef | None:
        """The source of `key` when it was looked up within the last second: without a wait."""
        found = self._known.get(key) if key else None
        return found[1] if found is not None and found[0] > time.monotonic() else None

    async def find(self, key: str | None) -> SourceRef | None:
        """The source of `key`, or None. Raises Unavailable. While one request asks again, the others do not wait."""
        if not key:
            return None
        now = time.monotonic()
        found = self._known.get(key)
        if found is not None:
            if found[0] > now:
                return found[1]
            self._known[key] = now + _KEEP_SECONDS, found[1]
        source = await asyncio.get_running_loop().run_in_executor(self._thread, _look_up, key)
        if source is None:
            self._known.pop(key, None)
            return None
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[key] = now + _KEEP_SECONDS, source
        return source

    def close(self) -> None:
        """End the thread and its connection; blocks until that is done."""
        self._thread.submit(_hang_up).result()
        self._thread.shutdown()

    def unknown(self, key: str | None) -> Unauthorized:
        """The refusal of a request whose keys have no source; `key` is one of them."""
        if not key:
            return Unauthorized("Give the write key: Authorization: Basic base64('<key>:'), or `writeKey` in the body.")
        self._complain(key)
        return Unauthorized("No enabled source has this write key. Compare it with the key of the source.")

    def _complain(self, key: str) -> None:
        """One line a minute for each hint: an SDK drops its data on a 401, so somebody should know. Never the key."""
        hint = "".join(letter for letter in key[: min(_HINT, len(key) // 4)] if letter.isalnum())
        now = time.monotonic()
        if self._logged.get(hint, 0.0) > now:
            return
        if len(self._logged) >= _KEPT:
            self._logged.clear()
        self._logged[hint] = now + _LOG_SECONDS
        log.error("A sender's data is being LOST: write key %s… (%d characters) has no source.", hint, len(key))


def _look_up(key: str) -> SourceRef | None:
    try:
        return source_of(key)
    except Error:
        connection.close()  # it may be a connection that the server has closed
        raise Unavailable("The store cannot be reached. Send again later.", code="store_unavailable") from None


def _hang_up() -> None:
    connection.close()  # of the thread that calls this
