"""What was paid, read from the properties of a purchase: the same for counters, the lake and segments."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

_MAX_MONEY = 10**14
_REVENUE_KEYS = ("revenue", "total", "amount", "value")


def money(properties: Mapping[str, Any], warnings: list[str]) -> tuple[int, str]:
    """The revenue of an order in 1/10,000 units and its currency; 0 with a warning when there is none to be read.

    The first of revenue, total, amount, value that is a number; numbers in texts are understood.
    """
    currency = properties.get("currency")
    code = currency.strip().upper()[:3] if isinstance(currency, str) and currency.strip() else settings.DEFAULT_CURRENCY
    for key in _REVENUE_KEYS:
        value = properties.get(key)
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                continue
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) * 10_000 < _MAX_MONEY:
            return round(value * 10_000), code
    warnings.append("purchase_without_revenue")
    return 0, code
