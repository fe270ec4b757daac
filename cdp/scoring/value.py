"""Lifetime value as far as the counters tell it (M2): what was bought, how often, for how long."""

import json
from collections import Counter
from collections.abc import Iterable

import msgspec

from cdp.core.clock import DAY

UNIT = 10_000
"""Revenue is counted in 1/10,000 of a currency unit."""
MONTH_DAYS = 365.25 / 12


class LifetimeValue(msgspec.Struct, frozen=True):
    """`current` and `average` are in units of `currency`, `frequency` in purchases a month, `tenure` in days."""

    current: float
    purchases: int
    average: float | None
    frequency: float
    tenure: int
    currency: str | None
    by_currency: dict[str, float]


def revenue_of(counters: Iterable[str]) -> dict[str, float]:
    """Revenue by currency in units, the largest first, summed over the JSON counters of several profiles."""
    total: Counter[str] = Counter()
    for text in counters:
        total.update(json.loads(text))
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return {currency: amount / UNIT for currency, amount in ordered}


def lifetime_value(revenue: dict[str, float], purchases: int, *, first_seen: int, now: int) -> LifetimeValue:
    """The value of a person first seen at `first_seen` (µs), at the moment `now` (µs).

    The main currency is the one with the largest sum. Nothing is converted, so with several currencies there is no
    average: how many purchases each of them had is not counted. The frequency divides by at least one month, so that
    a first purchase today is not thirty a month.
    """
    currency = next(iter(revenue), None)
    current = revenue[currency] if currency else 0.0
    tenure = max(now - first_seen, 0) // DAY
    return LifetimeValue(
        current=round(current, 4),
        purchases=purchases,
        average=round(current / purchases, 2) if purchases and len(revenue) == 1 else None,
        frequency=round(purchases / max(tenure / MONTH_DAYS, 1.0), 2),
        tenure=tenure,
        currency=currency,
        by_currency={code: round(amount, 4) for code, amount in revenue.items()},
    )
