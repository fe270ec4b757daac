"""The tables that measures are made from: one row per person, every time limited by `now` (µs, in an expression)."""

from functools import reduce
from typing import TYPE_CHECKING

import ibis

from cdp.core.clock import DAY
from cdp.lake.measures.formula import EMAIL_TYPES, PORTAL_TYPES, WEB_TYPES, WINDOW_DAYS

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cdp.lake.tables import Tables

TRACK = 1
NOBODY = 0
"""The profile of events that are stored of nobody (`cdp.consents.gate`)."""
QUINTILES = 5


def owned(events: "ir.Table", tables: "Tables") -> "ir.Table":
    """`events` (with `profile`) with the `person` that owns each."""
    moved = tables.moved.select(moved_profile="profile", moved_person="person")
    joined = events.left_join(moved, events.profile == moved.moved_profile)
    return joined.mutate(person=ibis.coalesce(joined.moved_person, joined.profile)).drop(
        "moved_profile", "moved_person"
    )


def seen(tables: "Tables", now: "ir.IntegerScalar") -> "ir.Table":
    """`person, first_seen, last_seen, events` of those who did something.

    Added up for each profile before profiles become people: so the many rows of events are not joined.
    """
    done = tables.events.filter(tables.events.ts <= now)
    each = done.group_by("profile").agg(first_seen=done.ts.min(), last_seen=done.ts.max(), events=done.count())
    each = owned(each, tables)
    return each.group_by("person").agg(
        first_seen=each.first_seen.min(), last_seen=each.last_seen.max(), events=each.events.sum()
    )


def activity(tables: "Tables", now: "ir.IntegerScalar") -> "ir.Table":
    """`person` and the counts of the window of the engagement score, of those who did something in it.

    Added up for each profile and day first: a day on which two profiles of a person did something counts once.
    """
    events = tables.events
    recent = events.filter((events.ts <= now) & (events.ts > now - WINDOW_DAYS * DAY))
    each = recent.group_by("profile", day=recent.ts // DAY).agg(
        email=recent.count(where=recent.type.isin(EMAIL_TYPES)),
        web=recent.count(where=recent.type.isin(WEB_TYPES)),
        portal=recent.count(where=recent.type.isin(PORTAL_TYPES)),
    )
    each = owned(each, tables)
    days = each.group_by("person", "day").agg(email=each.email.sum(), web=each.web.sum(), portal=each.portal.sum())
    return days.group_by("person").agg(
        active_days=days.count(),
        email_events=days.email.sum(),
        web_events=days.web.sum(),
        portal_events=days.portal.sum(),
    )


def purchases(tables: "Tables", now: "ir.IntegerScalar") -> "ir.Table":
    """`person, purchases, first_purchase, last_purchase, currencies, spent` of those who bought.

    `spent` is the sum in the main currency, the one with the largest sum (nothing is converted), added up exactly.
    """
    events = tables.events
    bought = events.filter((events.type == "PURCHASE") & (events.call == TRACK) & (events.ts <= now))
    bought = bought.filter(bought.profile != NOBODY)  # else it would be one more buyer among those who are compared
    sold = owned(bought.select("profile", "ts", "p_currency", "p_amount"), tables)
    sums = sold.group_by("person", currency=sold.p_currency.fill_null("")).agg(
        amount=ibis.coalesce(sold.p_amount.sum(), ibis.literal(0, type="decimal(18, 4)")),
        number=sold.count(),
        first=sold.ts.min(),
        last=sold.ts.max(),
    )
    return sums.group_by("person").agg(
        purchases=sums.number.sum(),
        first_purchase=sums["first"].min(),
        last_purchase=sums["last"].max(),
        currencies=sums.count(),
        spent=sums.amount.max().cast("float64"),
    )


def rfm(tables: "Tables", now: "ir.IntegerScalar") -> "ir.Table":
    """`person, recency, frequency, monetary` (scores 1 to 5) of those who bought, and the values they come from.

    A score is 1 + ⌊5 · (buyers with a smaller value) ⁄ (all buyers)⌋: the percent rank of the value. So equal values
    have equal scores, without ties a fifth of the buyers has each, and the smallest value always has 1.
    """
    bought = purchases(tables, now)
    all_ = bought.count().over(ibis.window())

    def score(value: "ir.Value") -> "ir.Value":
        worse = ibis.rank().over(ibis.window(order_by=value))
        return (worse * QUINTILES // all_ + 1).cast("int64")

    return bought.mutate(
        recency=score(bought.last_purchase), frequency=score(bought.purchases), monetary=score(bought.spent)
    )


def known(tables: "Tables", now: "ir.IntegerScalar") -> "ir.Table":
    """`person, known`: how many values of non-personal traits are known that have not expired."""
    people = tables.people
    typed = [people[name].notnull().cast("int64") for name in people.columns if name.startswith("t_")]
    maps = [people[name].length().fill_null(0) for name in ("num", "text", "flag", "list")]
    all_ = people.select("person", facts=reduce(lambda left, right: left + right, [*typed, *maps]))
    ends = people.select(expired_person="person", until=people.expires.values().unnest())
    expired = ends.filter(ends.until <= now).group_by("expired_person").agg(gone=lambda ended: ended.count())
    joined = all_.left_join(expired, all_.person == expired.expired_person)
    return joined.select("person", known=joined.facts - joined.gone.fill_null(0))


BASES = {"seen": seen, "activity": activity, "purchases": purchases, "rfm": rfm, "known": known}
