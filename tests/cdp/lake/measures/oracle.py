"""The measures once more, in plain Python over plain rows, sharing nothing with the expressions."""

from collections import Counter
from typing import Any

from cdp.core.clock import DAY
from cdp.scoring.engagement import Activity, engagement
from cdp.scoring.lifecycle import lifecycle_stage
from cdp.scoring.profile import profile_score
from tests.cdp.lake.measures.world import NOW, World

WEB = {"PAGE_VIEW", "PRODUCT_VIEW", "SEARCH", "BUTTON_CLICK", "FORM_SUBMIT", "ADD_TO_CART"}
# the published grid: a row per recency score, a column per frequency score 1 to 5
GRID = {
    5: "new_customers potential_loyalists potential_loyalists champions champions",
    4: "promising potential_loyalists potential_loyalists loyal_customers loyal_customers",
    3: "about_to_sleep about_to_sleep need_attention loyal_customers loyal_customers",
    2: "hibernating hibernating at_risk at_risk cant_lose",
    1: "hibernating hibernating at_risk at_risk cant_lose",
}


def name_of(recency: int, frequency: int) -> str:
    """The name in the published grid."""
    return GRID[recency].split()[frequency - 1]


def score(value: Any, all_: list[Any]) -> int:
    """The quintile of `value` among `all_`: five times the share of smaller ones, rounded down, plus one."""
    return 1 + 5 * sum(1 for other in all_ if other < value) // len(all_)


def measures_of(world: World) -> dict[int, dict[str, Any]]:
    """Every measure of everybody."""
    found = {person: _own(world, person) for person in world.people}
    buyers = [row for row in found.values() if row["purchaseCount"]]
    for row in found.values():
        scores: list[int | None] = [None, None, None]
        if row["purchaseCount"]:
            names = ("lastPurchaseDate", "purchaseCount", "ltv")
            scores = [score(row[name], [buyer[name] for buyer in buyers]) for name in names]
        row.update(zip(("recencyScore", "frequencyScore", "monetaryScore"), scores, strict=True))
        row["rfmSegment"] = name_of(scores[0], scores[1]) if scores[0] and scores[1] else None
    return found


def _own(world: World, person: int) -> dict[str, Any]:
    did = world.of(person)
    bought = [event for event in did if event["type"] == "PURCHASE"]
    sums: Counter[str] = Counter()
    for event in bought:
        sums[event["p_currency"] or ""] += event["p_amount"] or 0
    spent = float(max(sums.values(), default=0))
    times, created = [event["ts"] for event in did], world.people[person]["created"]
    sold = [event["ts"] for event in bought]
    last_seen = max(times, default=created)
    recent = [event for event in did if event["ts"] > NOW - 90 * DAY]
    activity = Activity(
        last_event=max(times, default=None),
        active_days=len({event["ts"] // DAY for event in recent}),
        email_events=sum(event["type"] == "EMAIL_OPEN" for event in recent),
        web_events=sum(event["type"] in WEB for event in recent),
        portal_events=sum(event["type"] == "LOGIN" for event in recent),
        revenue=spent,
    )
    overall = engagement(activity, now=NOW).overall
    facts = profile_score(
        known=known(world.people[person]), last_seen=last_seen, engagement=overall, spent=spent, now=NOW
    )
    stage = lifecycle_stage(
        first_purchase=min(sold, default=None), last_purchase=max(sold, default=None), last_seen=last_seen, now=NOW
    )
    return {
        "ltv": spent,
        "totalSpent": spent,
        "aov": spent / len(bought) if len(sums) == 1 else None,
        "purchaseCount": len(bought),
        "firstPurchaseDate": min(sold, default=None),
        "lastPurchaseDate": max(sold, default=None),
        "daysSinceLastPurchase": (NOW - max(sold)) // DAY if sold else None,
        "firstSeenDate": min(times, default=created),
        "lastSeenDate": last_seen,
        "daysSinceLastSeen": (NOW - last_seen) // DAY,
        "eventCount": len(did),
        "lifecycleStage": stage,
        "engagementScore": overall,
        "profileScore": facts.score,
    }


def known(row: dict[str, Any]) -> int:
    """Values that are known and have not expired."""
    typed = sum(row.get(name) is not None for name in ("t_plan", "t_age"))
    maps = [row.get(name) or {} for name in ("num", "text", "flag", "list")]
    expired = sum(until <= NOW for until in (row.get("expires") or {}).values())
    return typed + sum(len(each) for each in maps) - expired
