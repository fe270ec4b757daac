"""Time as the stores keep it: whole microseconds since 1970-01-01 UTC, in a 64-bit integer.

Parsing is here too, because what counts as a time must be the same at the door, in imports and in the API.
"""

import math
import time
from datetime import UTC, date, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = int((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds()) * SECOND


def now_us() -> int:
    """Microseconds since 1970 by the system clock."""
    return time.time_ns() // 1000


def to_us(moment: datetime) -> int:
    """Microseconds of `moment`; a naive one is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """The aware UTC datetime of `us`."""
    return _EPOCH + timedelta(microseconds=us)


def iso(us: int) -> str:
    """ISO 8601 with milliseconds and `Z`, as the SDKs write it."""
    return from_us(us).strftime("%Y-%m-%dT%H:%M:%S.") + f"{us // 1000 % 1000:03d}Z"


def iso_or_none(us: int | None) -> str | None:
    """`iso`, or None for None."""
    return None if us is None else iso(us)


def parse_time(value: object) -> int | None:
    """Microseconds of what a client sent as a time, or None when it is none.

    Understands ISO 8601 (a missing zone is UTC, a date alone is its midnight) and numbers: seconds since 1970
    below 1e11, else milliseconds. Years before 1 or after 9999 are no times.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            return to_us(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            return None
    if isinstance(value, datetime):
        return to_us(value)
    if isinstance(value, date):
        return to_us(datetime(value.year, value.month, value.day))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if math.isnan(value) or abs(value) > 1e15:
        return None
    us = int(value * SECOND) if abs(value) < 1e11 else int(value * 1000)
    return us if -_LAST < us < _LAST and us > -62_135_596_800 * SECOND else None
