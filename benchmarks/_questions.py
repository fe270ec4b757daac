"""The rules that are measured, and the SQL that asks the same by hand."""

from collections.abc import Callable
from random import Random
from typing import Any

from benchmarks._million import COUNTRIES, DAY, NOW

SEGMENTS = 50
BEHAVIOUR, SEQUENCE = 1.5, 2.0
"""At most so many times the time by hand."""

_OWNED = f"from events e left join moved m on m.profile = e.profile where e.ts <= {NOW}"
_PERSON = "coalesce(m.person, e.profile)"


def _having(where: str, having: str) -> str:
    groups = f"select {_PERSON} as person {_OWNED} and {where} group by 1 having {having}"
    return f"select g.person from ({groups}) g where exists (select 1 from people p where p.person = g.person)"


def by_window(found: str, type_: str, value: str = "ts") -> str:
    """Hand-written: of each row, `value` of the next row of that type, by one pass over the person's rows."""
    return (
        f"select person, type, ts, first_value(case when type = '{type_}' then {value} end ignore nulls) over"
        f" (partition by person order by ts range between 1 following and unbounded following) as n from ({found}) f"
    )


def without_ignore_nulls(found: str, type_: str, value: str = "ts") -> str:
    """PostgreSQL has no IGNORE NULLS: the smallest of those that follow."""
    return (
        f"select person, type, ts, min(case when type = '{type_}' then {value} end) over"
        f" (partition by person order by ts range between 1 following and unbounded following) as n from ({found}) f"
    )


def _rows(types: tuple[str, ...], since: int = 0) -> str:
    listed = ", ".join(f"'{type_}'" for type_ in types)
    since_then = f" and e.ts >= {since}" if since else ""
    return f"select {_PERSON} as person, e.type, e.ts {_OWNED} and e.type in ({listed}){since_then}"


def _abandoned(next_of: Callable[..., str], since: int = 0) -> str:
    found = next_of(_rows(("ADD_TO_CART", "PURCHASE"), since), "PURCHASE")
    return (
        f"select distinct person from ({found}) w where type = 'ADD_TO_CART' and (n is null or n > ts + {DAY})"
        f" and ts <= {NOW - DAY} and exists (select 1 from people p where p.person = w.person)"
    )


def _bought(next_of: Callable[..., str]) -> str:
    bought = next_of(_rows(("PRODUCT_VIEW", "ADD_TO_CART", "PURCHASE")), "PURCHASE").replace(" as n ", " as bought ")
    found = next_of(bought, "ADD_TO_CART", "bought")
    return (
        f"select distinct person from ({found}) w where type = 'PRODUCT_VIEW' and n - ts <= {7 * DAY}"
        f" and exists (select 1 from people p where p.person = w.person)"
    )


def _all(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"operator": "AND", "conditions": list(conditions)}


BOOKS = {
    "event": "purchase", "where": {"field": "category", "operator": "=", "value": "Books"}, "aggregate": "sum",
    "property": "revenue", "operator": ">", "value": 150, "within": "90d",
}  # fmt: skip
ABANDONED = {"sequence": [{"event": "add_to_cart"}, {"event": "purchase", "negate": True, "after": "1d"}]}
THREE = {
    "sequence": [{"event": "product_view"}, {"event": "add_to_cart"}, {"event": "purchase"}],
    "within": "7d",
}
_BOOKS_WHERE = f"e.type = 'PURCHASE' and e.p_category = 'Books' and e.ts >= {NOW - 90 * DAY}"
_LATELY = NOW - 30 * DAY
QUESTIONS: list[tuple[str, Any, float, Callable[[Callable[..., str]], str]]] = [
    ("Spent > 150 on books in 90 days", BOOKS, BEHAVIOUR,
     lambda _next_of: _having(_BOOKS_WHERE, "round(sum(e.p_revenue)::numeric, 6) > 150")),
    ("Bought at least 3 times", {"event": "purchase", "operator": ">=", "value": 3}, BEHAVIOUR,
     lambda _next_of: _having("e.type = 'PURCHASE'", "count(*) >= 3")),
    ("Viewed at least 10 pages", {"event": "page_view", "operator": ">=", "value": 10}, BEHAVIOUR,
     lambda _next_of: _having("e.type = 'PAGE_VIEW'", "count(*) >= 10")),
    ("Cart without purchase in a day, last 30 days", {**ABANDONED, "lookback": "30d"}, SEQUENCE,
     lambda next_of: _abandoned(next_of, _LATELY)),
    ("Cart without purchase in a day, all time", ABANDONED, SEQUENCE, _abandoned),
    ("View, cart, purchase in 7 days, all time", THREE, SEQUENCE, _bought),
]  # fmt: skip
ESTIMATE = _all(
    {"field": "country", "operator": "in", "value": ["DE", "LT"]},
    {"trait": "plan", "operator": "=", "value": "pro"},
    {"consent": "MARKETING_EMAIL"},
    BOOKS | {"value": 20},
    {**ABANDONED, "lookback": "90d"},
    {"operator": "NOT", "conditions": [{"event": "email_open", "within": "30d"}]},
)


def many_rules() -> list[dict[str, Any]]:
    """Fifty segments as people make them: an event with a threshold, mostly in a window, and a trait or two."""
    chance = Random(3)
    rules = []
    for _ in range(SEGMENTS):
        event = chance.choice(["purchase", "page_view", "product_view", "add_to_cart", "search", "email_open"])
        leaf: dict[str, Any] = {"event": event, "operator": chance.choice([">=", "<"]), "value": chance.randint(1, 9)}
        if chance.random() < 0.7:
            leaf["within"] = chance.choice(["30d", "90d", "365d"])
        if event == "purchase" and chance.random() < 0.6:
            category = {"field": "category", "operator": "=", "value": chance.choice(["Books", "Music", "Toys"])}
            leaf = BOOKS | {"value": chance.randint(20, 400), "within": "180d", "where": category}
        leaves = [leaf, {"trait": "country", "operator": "in", "value": chance.sample(COUNTRIES, 2)}]
        if chance.random() < 0.5:
            leaves.append({"trait": f"t{chance.randint(0, 5)}", "operator": "<", "value": chance.randint(5, 45)})
        rules.append({"operator": chance.choice(["AND", "OR"]), "conditions": leaves})
    return rules
