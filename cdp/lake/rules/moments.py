"""Times in rules: spans ("90d"), calendar periods ("this_month") and moments ("2026-03-01", "2026-03-01T08:00Z").

Whoever compares says in which zone a moment without a zone is meant: the installation's for when something happened,
UTC for stored values, which are kept in UTC when they say no zone.
"""

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from cdp.core.clock import DAY, HOUR, MINUTE, SECOND, from_us, to_us

LONGEST = 36_500 * DAY
"""A span may be this long (100 years)."""

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_SPAN = re.compile(r"(\d{1,9})\s*(s|m|h|d|w|sec(?:ond)?s?|min(?:ute)?s?|hours?|days?|weeks?)", re.IGNORECASE | re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)

PERIODS = (
    "today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_quarter", "last_quarter",
    "this_year", "last_year",
)  # fmt: skip
"""Calendar periods in the installation's zone; weeks begin on Monday."""


def span_of(text: str) -> int | None:
    """Microseconds of "90d", "12 hours", "2w"; None for what is no span."""
    found = _SPAN.fullmatch(text.strip())
    return int(found[1]) * _UNITS[found[2][0].lower()] if found else None


def spelled(span: int) -> str:
    """The shortest spelling of a span: 7_776_000_000_000 is "90d"."""
    for unit in "dhms":
        if span % _UNITS[unit] == 0:
            return f"{span // _UNITS[unit]}{unit}"
    raise ValueError(f"spans are whole seconds, not {span} µs")


def is_moment(text: str) -> bool:
    """Whether it is an ISO date or time between the years 1 and 9999, in every zone."""
    if not (_DAY.fullmatch(text) or _TIME.fullmatch(text)):
        return False
    try:
        return 1 < datetime.fromisoformat(text).year < 9999
    except ValueError:
        return False


def edges(text: str, zone: str) -> tuple[int, int]:
    """First microsecond of a moment, and the first after it: a day or one microsecond."""
    if _DAY.fullmatch(text):
        day = date.fromisoformat(text)
        return _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    start = to_us(moment)
    return start, start + 1


def period_edges(name: str, now: int, zone: str) -> tuple[int, int]:
    """First microsecond of the calendar period (of `PERIODS`) around or before `now`, and the first after it."""
    today = from_us(now).astimezone(ZoneInfo(zone)).date()
    if name in ("today", "yesterday"):
        begin = today - timedelta(days=name == "yesterday")
        return _midnight(begin, zone), _midnight(begin + timedelta(days=1), zone)
    which, unit = name.split("_")
    back = which == "last"
    if unit == "week":
        begin = today - timedelta(days=today.weekday() + 7 * back)
        return _midnight(begin, zone), _midnight(begin + timedelta(days=7), zone)
    length = {"month": 1, "quarter": 3, "year": 12}[unit]
    first = (today.year * 12 + today.month - 1) // length * length - length * back
    return _midnight(_month(first), zone), _midnight(_month(first + length), zone)


def _month(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


def _midnight(day: date, zone: str) -> int:
    return to_us(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)))
