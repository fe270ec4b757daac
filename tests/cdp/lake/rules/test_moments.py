"""Spans, calendar periods and moments, at their edges."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cdp.core.clock import DAY, HOUR, MINUTE, SECOND, to_us
from cdp.lake.rules.moments import edges, is_moment, period_edges, span_of, spelled


def _us(text: str) -> int:
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "span", "shortest"),
    [
        ("90d", 90 * DAY, "90d"), ("2w", 14 * DAY, "14d"), ("24h", DAY, "1d"), ("36 hours", 36 * HOUR, "36h"),
        ("90m", 90 * MINUTE, "90m"), ("1 Day", DAY, "1d"), ("30sec", 30 * SECOND, "30s"),
    ],
)  # fmt: skip
def test_spans(text, span, shortest):
    assert span_of(text) == span
    assert spelled(span) == shortest
    assert span_of(shortest) == span


@pytest.mark.parametrize("text", ["", "d", "1.5d", "-1d", "1 month", "1y", "٣d", "1d1h"])
def test_what_is_no_span(text):
    assert span_of(text) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01", True), ("2026-01-01T10:00", True), ("2026-01-01 10:00:00.5+02:00", True), ("2026", False),
        ("2026-02-30", False), ("20260101", False), ("2026-01-01T25:00", False), ("9999-12-31", False),
        ("0001-01-01", False), ("2026-W01-1", False), ("today", False),
    ],
)  # fmt: skip
def test_moments(text, moment):
    assert is_moment(text) == moment


def test_a_day_is_as_long_as_it_is_in_its_zone():
    first, after = edges("2026-03-29", "Europe/Vilnius")
    assert (first, after - first) == (_us("2026-03-28T22:00"), 23 * HOUR)
    assert edges("2026-03-29T00:00", "America/New_York") == (_us("2026-03-29T04:00"), _us("2026-03-29T04:00") + 1)
    assert edges("2026-03-29T00:00Z", "America/New_York")[0] == _us("2026-03-29")


@pytest.mark.parametrize(
    ("name", "first", "after"),
    [
        ("today", "2026-01-01", "2026-01-02"), ("yesterday", "2025-12-31", "2026-01-01"),
        ("this_week", "2025-12-29", "2026-01-05"), ("last_week", "2025-12-22", "2025-12-29"),
        ("this_month", "2026-01-01", "2026-02-01"), ("last_month", "2025-12-01", "2026-01-01"),
        ("this_quarter", "2026-01-01", "2026-04-01"), ("last_quarter", "2025-10-01", "2026-01-01"),
        ("this_year", "2026-01-01", "2027-01-01"), ("last_year", "2025-01-01", "2026-01-01"),
    ],
)  # fmt: skip
def test_calendar_periods(name, first, after):
    for zone, now in (("UTC", "2026-01-01T00:00"), ("Europe/Vilnius", "2025-12-31T22:00")):
        begins = tuple(to_us(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))) for day in (first, after))
        assert period_edges(name, _us(now), zone) == begins
    before = period_edges("this_year", _us("2025-12-31T21:59:59"), "Europe/Vilnius")
    assert before == (_us("2024-12-31T22:00"), _us("2025-12-31T22:00"))
