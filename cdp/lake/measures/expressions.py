"""The Ibis expressions of the measures (`cdp.lake.measures.measure` says what each means)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import ibis

from cdp.core.clock import DAY
from cdp.lake.marks import Now, instant
from cdp.lake.measures import formula as f
from cdp.lake.measures.bases import BASES
from cdp.lake.measures.named import NAMED

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cdp.lake.tables import Tables

Value = Callable[["ir.Table", "ir.IntegerScalar"], "ir.Value"]


def measured(names: Iterable[str], tables: "Tables", now: Now) -> "ir.Table":
    """`person` and a column per measure, for every living person at `now` (µs); what they share is computed once."""
    at = instant(now)
    wanted = {name: _VALUES[name] for name in names}
    table = tables.people.select("person", "created")
    for base in sorted({base for bases, _ in wanted.values() for base in bases}):
        facts = BASES[base](tables, at)
        clear = facts.rename(**{f"{base}_person": "person"})
        new = [name for name in clear.columns if name not in table.columns]
        table = table.left_join(clear.select(*new), table.person == clear[f"{base}_person"])
    return table.select("person", **{name: value(table, at) for name, (_, value) in wanted.items()})


def _number(value: "ir.Value") -> "ir.Value":
    return value.cast("float64")


def _or_zero(name: str) -> Value:
    return lambda table, _now: _number(table[name].fill_null(0))


def _plain(name: str) -> Value:
    return lambda table, _now: table[name]


def _score(name: str) -> Value:
    return lambda table, _now: _number(table[name])


def _seen(name: str) -> Value:
    return lambda table, _now: table[name].fill_null(table.created)


def _days(since: "ir.Value", now: "ir.IntegerScalar") -> "ir.Value":
    # greatest() skips a null on both engines: what is missing must stay so
    return ibis.cases((since.notnull(), _number(ibis.greatest((now - since) // DAY, 0))), else_=ibis.null("float64"))


def _average(table: "ir.Table", _now: "ir.IntegerScalar") -> "ir.Value":
    average = table.spent / table.purchases
    return ibis.cases((table.currencies == 1, average), else_=ibis.null("float64"))


def saturating(amount: "ir.Value", half: float) -> "ir.Value":
    """0 for nothing (or less, or missing), 50 at `half`, towards 100 for much."""
    given = ibis.greatest(_number(amount).fill_null(0.0), 0.0)
    return 100 * (1 - ibis.literal(2.0) ** (-given / half))


def fading(days: "ir.Value", half: float) -> "ir.Value":
    """100 for now (or the future), 50 after `half` days, towards 0, which missing is."""
    score = 100 * ibis.literal(2.0) ** (-ibis.greatest(days, 0.0) / half)
    return ibis.cases((days.notnull(), score), else_=0.0)


def _whole(score: "ir.Value") -> "ir.Value":
    return _number((score + 0.5).floor())


def _engagement(table: "ir.Table", now: "ir.IntegerScalar") -> "ir.Value":
    weights = f.ENGAGEMENT_WEIGHTS
    recency = fading(_number(now - table.last_seen) / DAY, f.RECENCY_HALF)
    channel = ibis.greatest(
        saturating(table.email_events, f.EMAIL_HALF),
        saturating(table.web_events, f.WEB_HALF),
        saturating(table.portal_events, f.PORTAL_HALF),
    )
    return _whole(
        weights["recency"] * recency
        + weights["frequency"] * saturating(table.active_days, f.FREQUENCY_HALF)
        + weights["monetary"] * saturating(table.spent, f.MONETARY_HALF)
        + weights["channel"] * channel
    )


def _profile_score(table: "ir.Table", now: "ir.IntegerScalar") -> "ir.Value":
    weights = f.PROFILE_WEIGHTS
    return _whole(
        weights["completeness"] * saturating(table.known, f.COMPLETENESS_HALF)
        + weights["recency"] * fading(_number(now - _seen("last_seen")(table, now)) / DAY, f.PRESENCE_HALF)
        + weights["engagement"] * _engagement(table, now)
        + weights["value"] * saturating(table.spent, f.MONETARY_HALF)
    )


def _rfm_segment(table: "ir.Table", _now: "ir.IntegerScalar") -> "ir.Value":
    cases = [
        (table.recency.between(*named.recency) & table.frequency.between(*named.frequency), named.key)
        for named in NAMED
    ]
    return ibis.cases(*cases, else_=ibis.null("string"))


def _stage(table: "ir.Table", now: "ir.IntegerScalar") -> "ir.Value":
    def within(since: "ir.Value", days: int) -> "ir.Value":
        return since >= now - days * DAY

    first, last = table.first_purchase, table.last_purchase
    return ibis.cases(
        (first.isnull() & within(_seen("last_seen")(table, now), f.DORMANT_DAYS), "prospect"),
        (first.isnull(), "inactive"),
        (within(first, f.NEW_DAYS), "new"),
        (within(last, f.ACTIVE_DAYS), "active"),
        (within(last, f.AT_RISK_DAYS), "at_risk"),
        (within(last, f.DORMANT_DAYS), "dormant"),
        else_="churned",
    )


_VALUES: dict[str, tuple[tuple[str, ...], Value]] = {
    "ltv": (("purchases",), _or_zero("spent")),
    "totalSpent": (("purchases",), _or_zero("spent")),
    "aov": (("purchases",), _average),
    "purchaseCount": (("purchases",), _or_zero("purchases")),
    "firstPurchaseDate": (("purchases",), _plain("first_purchase")),
    "lastPurchaseDate": (("purchases",), _plain("last_purchase")),
    "daysSinceLastPurchase": (("purchases",), lambda table, now: _days(table.last_purchase, now)),
    "firstSeenDate": (("seen",), _seen("first_seen")),
    "lastSeenDate": (("seen",), _seen("last_seen")),
    "daysSinceLastSeen": (("seen",), lambda table, now: _days(_seen("last_seen")(table, now), now)),
    "eventCount": (("seen",), _or_zero("events")),
    "recencyScore": (("rfm",), _score("recency")),
    "frequencyScore": (("rfm",), _score("frequency")),
    "monetaryScore": (("rfm",), _score("monetary")),
    "rfmSegment": (("rfm",), _rfm_segment),
    "lifecycleStage": (("purchases", "seen"), _stage),
    "engagementScore": (("activity", "purchases", "seen"), _engagement),
    "profileScore": (("activity", "known", "purchases", "seen"), _profile_score),
}
"""Name → the bases it is made from, and its value over their join."""
