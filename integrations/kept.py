"""Answers that are kept for a while: in Redis, for all processes, when there is one; else in this process, bounded.

What is in Redis is encrypted: it is personal data.
"""

import threading
import time
from collections import OrderedDict
from typing import Protocol

from django.conf import settings
from django.core.cache import cache

MOST = 20_000
"""Answers that a process keeps; the one that was used least recently goes first. About 1 kB each."""
_PURPOSE = "lookup"


class Kept(Protocol):
    """Bytes by key, each for some seconds."""

    shared: bool
    """Whether other processes see it."""

    def get(self, key: str) -> bytes | None:
        """What is kept, or None."""

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep it, whatever was there."""

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        """Keep it if nothing is there; whether it was kept."""

    def drop(self, key: str) -> None:
        """Keep it no longer."""


class ProcessKept:
    """A bounded dictionary."""

    shared = False

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """See Kept."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            if found[0] <= time.monotonic():
                del self._values[key]
                return None
            self._values.move_to_end(key)
            return found[1]

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """See Kept."""
        with self._lock:
            self._values[key] = time.monotonic() + seconds, value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        """See Kept."""
        if self.get(key) is not None:
            return False
        self.put(key, value, seconds)
        return True

    def drop(self, key: str) -> None:
        """See Kept."""
        with self._lock:
            self._values.pop(key, None)

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._values.clear()


class SharedKept:
    """Django's cache, which is Redis, with encrypted values."""

    shared = True

    def get(self, key: str) -> bytes | None:
        """See Kept."""
        sealed = cache.get(key)
        return None if sealed is None else settings.KEYRING.decrypt(_PURPOSE, sealed)

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """See Kept."""
        cache.set(key, settings.KEYRING.encrypt(_PURPOSE, value), max(1, round(seconds)))

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        """See Kept."""
        return bool(cache.add(key, settings.KEYRING.encrypt(_PURPOSE, value), max(1, round(seconds))))

    def drop(self, key: str) -> None:
        """See Kept."""
        cache.delete(key)


_process = ProcessKept()
_shared = SharedKept()


def kept() -> Kept:
    """Where this installation keeps answers."""
    return _shared if settings.REDIS_URL else _process


def forget_kept() -> None:
    """Forget every answer of this process."""
    _process.clear()
