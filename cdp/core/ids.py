"""Public ids: UUIDv7 (RFC 9562), so that they sort by the time they were made."""

import os
import time
import uuid


def uuid7(now_us: int | None = None) -> uuid.UUID:
    """A UUIDv7 of `now_us` (microseconds since 1970, default: now) with 74 random bits."""
    ms = (now_us if now_us is not None else time.time_ns() // 1000) // 1000
    random = int.from_bytes(os.urandom(10), "big")
    value = (ms & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return uuid.UUID(int=value)
