"""The numbers of the overview (A1): people, events, revenue and activity in a stretch of time."""

from typing import TYPE_CHECKING, Any

import msgspec

from cdp.core.clock import DAY, from_us
from cdp.history.snapshot import snapshot

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cdp.lake.tables import Tables

_TRACK = 1


class Day(msgspec.Struct, frozen=True, rename="camel"):
    """A day in UTC: events, people who did something, people seen for the first time, revenue by currency."""

    date: str
    events: int
    active_people: int
    new_people: int
    purchases: int
    revenue: dict[str, float]


class Overview(msgspec.Struct, frozen=True, rename="camel"):
    """The stretch has whole days in UTC. `profiles` counts fragments: several of them can be one person.

    `unification_rate` is the share of profiles that were united with another one; `active_people` did something in the
    stretch. Revenue is added up exactly and never converted between currencies.
    """

    start: str
    end: str
    people: int
    profiles: int
    unification_rate: float
    new_people: int
    active_people: int
    events: int
    events_of_all_time: int
    purchases: int
    buyers: int
    revenue: dict[str, float]
    average_order_value: dict[str, float]
    by_day: list[Day]


def overview(start: int, end: int) -> Overview:
    """The numbers from `start` up to before `end` (µs, both midnights in UTC).

    Five queries of one moment of history, each grouped: however many events, few rows come back.
    """
    with snapshot() as snap:
        tables = snap.tables
        people = snap.run(_people(tables, start, end)).to_pylist()[0]
        days = {row["day"]: row for row in snap.run(_days(tables, start, end)).to_pylist()}
        money = snap.run(_revenue(tables, start, end)).to_pylist()
        whole = snap.run(_whole(tables, start, end)).to_pylist()[0]
        born = {row["day"]: row["people"] for row in snap.run(_born(tables, start, end)).to_pylist()}
    revenue, orders = _by_currency(money), _orders(money)
    sales: dict[int, list[dict[str, Any]]] = {}
    for row in money:
        sales.setdefault(row["day"], []).append(row)
    return Overview(
        start=_date(start),
        end=_date(end - DAY),
        people=people["people"],
        profiles=people["profiles"],
        unification_rate=round(people["united"] / people["profiles"], 4) if people["profiles"] else 0.0,
        new_people=people["new"],
        active_people=whole["active"],
        events=whole["events"],
        events_of_all_time=people["events"],
        purchases=sum(orders.values()),
        buyers=whole["buyers"],
        revenue=revenue,
        average_order_value={code: round(amount / orders[code], 2) for code, amount in revenue.items()},
        by_day=[
            _day(day, days.get(day, {}), born.get(day, 0), sales.get(day, []))
            for day in range(start // DAY, end // DAY)
        ],
    )


def _with_person(events: "ir.Table", tables: "Tables") -> "ir.Table":
    from cdp.lake.measures.bases import NOBODY, owned

    done = owned(events, tables)
    return done.mutate(person=done.person.nullif(NOBODY))  # an event of nobody counts, and is nobody's


def _within(tables: "Tables", start: int, end: int) -> "ir.Table":
    events = tables.events
    return events.filter((events.ts >= start) & (events.ts < end))


def _people(tables: "Tables", start: int, end: int) -> "ir.Table":
    import ibis

    people, moved = tables.people, tables.moved
    hosts = moved.select("person").distinct()
    facts = people.agg(
        people=people.count(), new=people.count(where=(people.created >= start) & (people.created < end))
    )
    extra = moved.agg(moved=moved.count())
    united = hosts.agg(hosts=hosts.count())
    events = tables.events.agg(events=tables.events.count())
    wide = facts.cross_join(extra).cross_join(united).cross_join(events)
    return wide.select(
        "people", "new", "events", profiles=wide.people + wide.moved, united=ibis.coalesce(wide.moved + wide.hosts, 0)
    )


def _whole(tables: "Tables", start: int, end: int) -> "ir.Table":
    done = _with_person(_within(tables, start, end).select("profile", "type", "call"), tables)
    bought = (done.type == "PURCHASE") & (done.call == _TRACK)
    return done.agg(events=done.count(), active=done.person.nunique(), buyers=done.person.nunique(where=bought))


def _days(tables: "Tables", start: int, end: int) -> "ir.Table":
    done = _with_person(_within(tables, start, end).select("profile", "ts"), tables)
    return done.group_by(day=done.ts // DAY).agg(events=done.count(), active=done.person.nunique())


def _born(tables: "Tables", start: int, end: int) -> "ir.Table":
    people = tables.people.filter((tables.people.created >= start) & (tables.people.created < end))
    return people.group_by(day=people.created // DAY).agg(people=people.count())


def _revenue(tables: "Tables", start: int, end: int) -> "ir.Table":
    bought = _within(tables, start, end)
    bought = bought.filter((bought.type == "PURCHASE") & (bought.call == _TRACK))
    return bought.group_by(day=bought.ts // DAY, currency=bought.p_currency.fill_null("")).agg(
        amount=bought.p_amount.sum(), orders=bought.count()
    )


def _by_currency(money: list[dict[str, Any]]) -> dict[str, float]:
    total: dict[str, Any] = {}
    for row in money:
        total[row["currency"]] = total.get(row["currency"], 0) + (row["amount"] or 0)
    return {code: float(amount) for code, amount in sorted(total.items(), key=lambda item: (-item[1], item[0]))}


def _orders(money: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in money:
        found[row["currency"]] = found.get(row["currency"], 0) + row["orders"]
    return found


def _day(day: int, row: dict[str, Any], born: int, sales: list[dict[str, Any]]) -> Day:
    return Day(
        date=_date(day * DAY),
        events=row.get("events", 0),
        active_people=row.get("active", 0),
        new_people=born,
        purchases=sum(sale["orders"] for sale in sales),
        revenue=_by_currency(sales),
    )


def _date(us: int) -> str:
    return from_us(us).date().isoformat()
