"""The built-in measures of one person, from what the operational store has counted.

The same values as `cdp.lake.measures` has for everybody, but for the RFM scores, which rank everybody. Events after
`now`, which the counters know already, count here.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from cdp.core.clock import DAY
from cdp.lake.fields.tree import Value
from cdp.scoring.lifecycle import lifecycle_stage
from cdp.scoring.profile import ProfileScore, profile_score


class Counted(msgspec.Struct, frozen=True):
    """What the store has counted: times in µs, `spent` in the main currency of `currencies`.

    `known`: how many values of non-personal traits are known; `engagement`: the overall score.
    """

    first_seen: int
    last_seen: int
    events: int
    purchases: int
    first_purchase: int | None
    last_purchase: int | None
    spent: float
    currencies: int
    engagement: int
    known: int


def known_values(facts: Mapping[str, Mapping[str, Any]]) -> int:
    """How many values the lake knows of a person: `facts` are kind → key → value. A text that is a time counts once."""
    return sum(len(values) for kind, values in facts.items() if kind != "time") + len(
        facts.get("time", {}).keys() - facts.get("text", {}).keys()
    )


def own_score(counted: Counted, *, now: int) -> ProfileScore:
    """The profile score at `now` (µs)."""
    return profile_score(
        known=counted.known,
        last_seen=counted.last_seen,
        engagement=counted.engagement,
        spent=counted.spent,
        now=now,
    )


def own_measures(counted: Counted, *, now: int) -> dict[str, Value]:
    """Measure → value at `now` (µs); what is missing is None."""
    stage = lifecycle_stage(
        first_purchase=counted.first_purchase,
        last_purchase=counted.last_purchase,
        last_seen=counted.last_seen,
        now=now,
    )
    bought = counted.last_purchase
    return {
        "ltv": counted.spent,
        "totalSpent": counted.spent,
        "aov": counted.spent / counted.purchases if counted.purchases and counted.currencies == 1 else None,
        "purchaseCount": float(counted.purchases),
        "firstPurchaseDate": counted.first_purchase,
        "lastPurchaseDate": bought,
        "daysSinceLastPurchase": None if bought is None else float(max(now - bought, 0) // DAY),
        "firstSeenDate": counted.first_seen,
        "lastSeenDate": counted.last_seen,
        "daysSinceLastSeen": float(max(now - counted.last_seen, 0) // DAY),
        "eventCount": float(counted.events),
        "lifecycleStage": stage,
        "engagementScore": float(counted.engagement),
        "profileScore": float(own_score(counted, now=now).score),
    }
