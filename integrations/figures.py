"""How an integration does, from the log of look-ups: success rate, hit rate, p50 and p95, and look-ups by hour."""

from collections.abc import Iterable

import msgspec
from django.core.cache import cache
from django.db.models import Count, F

from cdp.core.clock import HOUR
from integrations.models import RequestLog

HOURS = 24
_KEEP_SECONDS = 15


class HourCount(msgspec.Struct, frozen=True):
    """The look-ups of an hour (hours since 1970): from the cache, by a call, and those that fell back."""

    hour: int
    cached: int
    called: int
    failed: int


class Figures(msgspec.Struct, frozen=True):
    """The last `HOURS` hours. Rates are from 0 to 1 and milliseconds are those of calls; None where there was nothing.

    `success` is the share of calls without an error, `hits` that of look-ups answered without a call of their own.
    """

    requests: int
    calls: int
    fallbacks: int
    success: float | None
    hits: float | None
    p50: int | None
    p95: int | None
    hours: tuple[HourCount, ...]


def figures_of(integrations: Iterable[int], *, now: int) -> dict[int, Figures]:
    """The figures of the integrations at `now` (µs), up to 15 seconds old: two queries when they are not at hand."""
    ids = list(integrations)
    key = f"integrations:figures:{now // HOUR}:{','.join(map(str, ids))}"
    found: dict[int, Figures] | None = cache.get(key)
    if found is None:
        found = _figures(ids, now)
        cache.set(key, found, _KEEP_SECONDS)
    return found


def _figures(ids: list[int], now: int) -> dict[int, Figures]:
    first = now // HOUR - HOURS + 1
    rows = RequestLog.objects.filter(integration__in=ids, at__gte=first * HOUR, at__lte=now).order_by()
    by_hour: dict[int, list[tuple[int, bool, bool, str, int]]] = {pk: [] for pk in ids}
    counted = rows.annotate(hour=F("at") / HOUR).values("integration_id", "hour", "cached", "called", "error")
    for pk, hour, cached, called, error, n in counted.annotate(n=Count("id")).values_list(
        "integration_id", "hour", "cached", "called", "error", "n"
    ):
        by_hour[pk].append((hour, cached, called, error, n))
    times: dict[int, list[tuple[int, int]]] = {pk: [] for pk in ids}
    timed = rows.filter(called=True).values("integration_id", "ms").annotate(n=Count("id")).order_by("ms")
    for pk, ms, n in timed.values_list("integration_id", "ms", "n"):
        times[pk].append((ms, n))
    return {pk: _figures_of(by_hour[pk], times[pk], first) for pk in ids}


def _figures_of(counted: list[tuple[int, bool, bool, str, int]], times: list[tuple[int, int]], first: int) -> Figures:
    requests = sum(n for *_, n in counted)
    calls = sum(n for _, _, called, _, n in counted if called)
    good = sum(n for _, _, called, error, n in counted if called and not error)
    hits = sum(n for _, cached, _, _, n in counted if cached)
    hours = tuple(
        HourCount(
            hour,
            cached=sum(n for h, cached, _, error, n in counted if h == hour and cached and not error),
            called=sum(n for h, cached, _, error, n in counted if h == hour and not cached and not error),
            failed=sum(n for h, _, _, error, n in counted if h == hour and error),
        )
        for hour in range(first, first + HOURS)
    )
    return Figures(
        requests=requests,
        calls=calls,
        fallbacks=sum(hour.failed for hour in hours),
        success=good / calls if calls else None,
        hits=hits / requests if requests else None,
        p50=percentile(times, 0.50),
        p95=percentile(times, 0.95),
        hours=hours,
    )


def percentile(counted: list[tuple[int, int]], part: float) -> int | None:
    """The smallest value that at least `part` of all do not exceed (nearest rank); `counted` is (value, n), sorted."""
    total = sum(n for _, n in counted)
    seen = 0
    for value, n in counted:
        seen += n
        if seen >= part * total:
            return value
    return None
