"""Public ids: UUIDv7 (RFC 9562), so that they sort by the time they were made. And the ids of requests."""

import itertools
import os
import re
import secrets
import time
import uuid

_USABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_numbers = itertools.count(secrets.randbits(127))


def _number_anew() -> None:
    global _numbers  # noqa: PLW0603 - a child of a fork counts from a start of its own
    _numbers = itertools.count(secrets.randbits(127))


os.register_at_fork(after_in_child=_number_anew)


def request_id(given: str = "") -> str:
    """The id of a request: what the client has `given` when it is up to 64 letters, digits, `.`, `_`, `-`; else new.

    A new one is 32 hex digits: a random start that no other process has, and a number.
    """
    return given if given and _USABLE.fullmatch(given) else f"{next(_numbers):032x}"


def uuid7(now_us: int | None = None) -> uuid.UUID:
    """A UUIDv7 of `now_us` (microseconds since 1970, default: now) with 74 random bits."""
    ms = (now_us if now_us is not None else time.time_ns() // 1000) // 1000
    random = int.from_bytes(os.urandom(10), "big")
    value = (ms & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return uuid.UUID(int=value)
