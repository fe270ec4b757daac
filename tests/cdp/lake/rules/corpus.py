"""A fixed corpus: every operator, aggregate, window and kind of sequence at least once, and a world with ties."""

from random import Random
from typing import Any

from tests.cdp.lake.rules.generated import COMPUTED_KINDS, DAYS, LISTS, MOMENTS, NOW, NUMBERS, TEXTS
from tests.cdp.lake.rules.oracle import DAY
from tests.cdp.lake.rules.world import World

_HOSTILE = tuple(text for text in TEXTS if not text.startswith("2026"))


def _all(*conditions: Any) -> dict[str, Any]:
    return {"operator": "AND", "conditions": list(conditions)}


PLAIN: list[Any] = [
    *({"trait": "age", "operator": operator, "value": 1} for operator in ("=", "!=", ">", ">=", "<", "<=")),
    {"trait": "age", "operator": "between", "value": [0.3, 2.5]},
    {"trait": "age", "operator": "not_exists"},
    {"trait": "plan", "operator": "in", "value": list(_HOSTILE[:8])},
    {"trait": "plan", "operator": "not_in", "value": list(_HOSTILE[8:])},
    {"trait": "plan", "operator": "before", "value": "2026-03-30"},
    {"trait": "vip", "operator": "!=", "value": True},
    {"trait": "renewal", "operator": "between", "value": [DAYS[2], DAYS[1]]},
    {"trait": "renewal", "operator": "=", "value": DAYS[1]},
    {"trait": "renewal", "operator": "within_last", "value": "36h"},
    {"trait": "renewal", "operator": "after", "value": MOMENTS[-1]},
    {"trait": "tags", "operator": "contains", "value": "a'b"},
    {"trait": "tags", "operator": "not_contains", "value": "pro"},
    {"trait": "country", "operator": "exists"},
    {"trait": "it's", "operator": ">", "value": 0.3},
    {"trait": 'x"y;--', "operator": "contains", "value": "日本"},
    {"trait": "back\\slash", "operator": "=", "value": True},
    {"trait": "ключ", "operator": ">=", "value": "2026-03-29"},
    {"trait": "address.city", "operator": "<", "value": "b"},
    {"field": "createdAt", "operator": "<=", "value": "2026-03-29"},
    {"field": "createdAt", "operator": "within_last", "value": "36h"},
    {"field": "createdAt", "operator": "within_next", "value": "1d"},
    {"consent": "MARKETING_EMAIL"},
    {"consent": "SMS", "granted": False},
    {"segment": "o'brien"},
    {"segment": "vip", "member": False},
    {"field": "email", "operator": "in", "value": ["b@example.com", "c@example.com"]},
    {"field": "email", "operator": "not_exists"},
    {"operator": "NOT", "conditions": [{"trait": "age", "operator": "<", "value": 100}, {"consent": "SMS"}]},
]
TEXT: list[Any] = [
    {"trait": key, "operator": operator, "value": value}
    for key, operator, value in zip(
        ("plan", "country", "it's", "plan", "address.city") * 4,
        ("=", "contains", "starts_with", "ends_with", "!=", "not_contains", "contains", "starts_with") * 3,
        _HOSTILE,
        strict=False,
    )
]
EVENTS: list[Any] = [
    {"event": "purchase"},
    {"event": "it's", "operator": "<", "value": 2},
    {"event": "purchase", "operator": ">=", "value": 2, "within": "2d"},
    {"event": "email_open", "operator": "=", "value": 0, "within": "this_month"},
    {"event": "purchase", "within": "yesterday"},
    {"event": "purchase", "between": [DAYS[2], DAYS[1]]},
    {"event": "purchase", "after": "2026-03-28", "before": MOMENTS[-1]},
    {"event": "purchase", "aggregate": "sum", "property": "revenue", "operator": "=", "value": 0.3},
    {"event": "purchase", "aggregate": "sum", "property": "revenue", "operator": ">", "value": 20, "within": "1w"},
    {"event": "purchase", "aggregate": "avg", "property": "revenue", "operator": "<", "value": 5},
    {"event": "purchase", "aggregate": "min", "property": "category", "operator": "<", "value": "a"},
    {"event": "it's", "aggregate": "max", "property": "size", "operator": ">", "value": 1, "kind": "number"},
    {"event": "purchase", "aggregate": "first", "property": "category", "operator": "!=", "value": "pro"},
    {"event": "purchase", "aggregate": "last", "property": "size", "operator": "=", "value": True, "kind": "flag"},
    {"event": "purchase", "aggregate": "last", "property": "revenue", "operator": "exists"},
    {"event": "purchase", "aggregate": "distinct", "property": "size", "operator": ">=", "value": 2},
    {"event": "purchase", "aggregate": "most_frequent", "property": "category", "operator": "in", "value": ["pro", ""]},
    {"event": "purchase", "aggregate": "unique_list", "property": "category", "operator": "contains", "value": "ß"},
    {"event": "purchase", "aggregate": "unique_list", "property": "category", "operator": "not_exists"},
    *(
        {"computed": name, "operator": {"list": "contains", "text": "!=", "number": ">"}[kind], "value": value}
        for (name, kind), value in zip(COMPUTED_KINDS.items(), (0.1, "pro", "pro", "pro"), strict=True)
    ),
    {"computed": "purchaseCount", "operator": ">=", "value": 2},
    {"computed": "firstSeenDate", "operator": "after", "value": "2026-03-28"},
    {
        "event": "purchase",
        "where": {
            "operator": "OR",
            "conditions": [
                {"field": "it's.sku", "operator": "contains", "value": "a'b"},
                {"operator": "NOT", "conditions": [{"field": "revenue", "operator": ">", "value": 0}]},
            ],
        },
        "operator": "between",
        "value": [1, 3],
    },
    _all({"event": "purchase"}, {"trait": "age", "operator": "exists"}, {"event": "email_open", "within": "1w"}),
]
SEQUENCES: list[Any] = [
    {"sequence": [{"event": "purchase"}, {"event": "email_open"}]},
    {"sequence": [{"event": "purchase"}, {"event": "purchase", "after": "2d"}], "lookback": "1w"},
    {"sequence": [{"event": "purchase"}, {"event": "it's"}, {"event": "email_open"}], "within": "1w"},
    {"sequence": [{"event": "purchase"}, {"event": "email_open", "negate": True, "after": "1d"}], "within": "2d"},
    {"sequence": [{"event": "email_open"}, {"event": "it's", "negate": True}, {"event": "purchase"}], "within": "1w"},
    {
        "sequence": [
            {"event": "it's", "where": {"field": "size", "operator": "not_exists"}},
            {"event": "purchase", "negate": True, "after": "36h"},
            {"event": "email_open"},
            {"event": "it's", "negate": True},
        ],
        "within": "2d",
    },
]


def world() -> World:
    """Thirty people with what the generated worlds have, and more of it."""
    chance = Random(11)

    def value() -> Any:
        return chance.choice((*NUMBERS, *TEXTS, True, False, *LISTS))

    def time() -> int:
        return (
            NOW
            - chance.choice((0, DAY, 36 * DAY // 24, 2 * DAY, 7 * DAY, chance.randrange(9 * DAY)))
            + (chance.choice((-1, 0, 1)))
        )

    keys = ("age", "plan", "vip", "renewal", "tags", "country", "address.city", "it's", 'x"y;--', "ключ", "back\\slash")
    fitting = {"age": NUMBERS, "plan": TEXTS, "vip": (True, False), "renewal": MOMENTS[-3:], "tags": LISTS}
    people = [
        {
            "person": person,
            "created": time(),
            "traits": {
                key: chance.choice(fitting[key]) if key in fitting and chance.random() < 0.8 else value()
                for key in keys
                if chance.random() < 0.7
            },
            "expires": {key: NOW + chance.choice((-1, 0, 1)) for key in keys if chance.random() < 0.2},
            "consents": {
                type_: chance.choice((-1, NOW, NOW + 1, 2**63 - 1))
                for type_ in ("MARKETING_EMAIL", "SMS")
                if chance.random() < 0.7
            },
        }
        for person in range(1, 31)
    ]
    kinds = (("PURCHASE", "Order Completed"), ("EMAIL_OPEN", "it's"), ("CUSTOM", "it's"))
    events = []
    for _ in range(260):
        type_, name = chance.choice(kinds)
        properties = {"revenue": chance.choice((10.0, 19.99, 0.1, 0.2, "10"))} if chance.random() < 0.7 else {}
        properties |= {
            key: value() if chance.random() < 0.5 else chance.choice(("pro", "ß", "a'b"))
            for key in ("category", "size", "it's.sku")
            if chance.random() < 0.5
        }
        profile = chance.randrange(1, 36)
        events.append({"profile": profile, "type": type_, "event": name, "ts": time(), "properties": properties})
    members = {key: set(chance.sample(range(1, 31), 9)) for key in ("vip", "o'brien")}
    return World(people, events, {31: 1, 32: 1, 33: 7, 34: 30}, members)
