"""Worlds and rules for Hypothesis: few keys, few values, times at the edges of windows and of days."""

from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.cdp.lake.rules.oracle import DAY, start_of
from tests.cdp.lake.rules.world import TYPED_PROPERTIES, TYPED_TRAITS, World

NOW = start_of(date(2026, 3, 30), "Europe/Vilnius") + 90 * 60_000_000
"""01:30 on the day after the clocks went forward there; the day before in New York."""
ZONES = ("UTC", "Europe/Vilnius", "America/New_York", "Asia/Kathmandu")
VOCABULARY = ("PURCHASE", "EMAIL_OPEN", "CUSTOM")
COMPUTED: dict[str, dict[str, Any]] = {
    "spent": {"event": "purchase", "aggregate": "sum", "property": "revenue", "within": "3d"},
    "categories": {"event": "purchase", "aggregate": "unique_list", "property": "category"},
    "lastCategory": {"event": "purchase", "aggregate": "last", "property": "category"},
    "favourite": {"event": "purchase", "aggregate": "most_frequent", "property": "category"},
}
COMPUTED_KINDS = {"spent": "number", "categories": "list", "lastCategory": "text", "favourite": "text"}
PEOPLE = range(1, 7)
FRAGMENTS = range(1, 11)
SEGMENTS = ("vip", "o'brien")
PERSONAL = {
    ("email", "exists"): {1, 2, 3},
    ("email", "="): {2},
    ("email", "in"): {2, 3, 99},
}

NUMBERS = (0.0, 1.0, 2.5, -1.0, 0.3, 100.0)
TEXTS = (
    "pro", "Pro", "", "p", "a'b", 'c"d', "100%", "_", "ß", "日本", "back\\slash", "\n", "'; drop table people; --",
    "{x}", "$1", "?", "2026-03-29", "2026-03-29T00:00:00Z", "2026-03-29T01:30:00+02:00", "NULL",
    "2026-03-28T22:30:00Z", "2026-03-28 22:29:59.999999", "2026-03-29T22:30:00.000001Z",  # a day before NOW; after it
)  # fmt: skip
LISTS = ([], ["pro"], ["a'b", "pro"], ["日本", "\\"])
TRAIT_KEYS = (*TYPED_TRAITS, "country", "address.city", "it's", 'x"y;--', "ключ", "back\\slash")
PROPERTY_KEYS = (*TYPED_PROPERTIES, "size", "it's.sku")
DAYS = tuple((date(2026, 3, 30) - timedelta(days=ago)).isoformat() for ago in (0, 1, 2, 29, 400))
MOMENTS = (*DAYS, "2026-03-29T00:00", "2026-03-29T22:30:00Z", "2026-03-29T23:59:59.999999-04:00")
SPANS = ("1d", "2d", "36h", "1w")
EVENT_NAMES = ("purchase", "PURCHASE", "email_open", "Custom Thing", "it's")

_numbers, _texts, _flags = st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.booleans()
_amounts = st.sampled_from((10.0, 19.99, 0.1, 0.2, 0.0, -5.0))
_values = st.one_of(_numbers, _texts, _flags, st.sampled_from(LISTS))
_edges = [
    NOW - days * DAY + off for days in (0, 1, 1.5, 2, 7) for off in (-1, 0, 1)
] + [
    start_of(date(2026, 3, day), zone) + off for zone in ZONES for day in (1, 28, 29, 30) for off in (-1, 0)
]  # fmt: skip
TIMES = st.one_of(st.sampled_from([int(edge) for edge in _edges]), st.integers(NOW - 9 * DAY, NOW))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Six people, some of whom have fragments besides their first; fragment 10 is nobody's."""
    people = [
        {
            "person": person,
            "created": draw(TIMES),
            "traits": draw(st.dictionaries(st.sampled_from(TRAIT_KEYS), _values, max_size=6)),
            "expires": draw(
                st.dictionaries(st.sampled_from(TRAIT_KEYS), st.sampled_from((NOW - 1, NOW, NOW + 1)), max_size=2)
            ),
            "consents": draw(
                st.dictionaries(
                    st.sampled_from(("MARKETING_EMAIL", "SMS")), st.sampled_from((-1, NOW, NOW + 1, 2**63 - 1))
                )
            ),
        }
        for person in PEOPLE
    ]
    moved = draw(st.dictionaries(st.integers(7, 9), st.sampled_from(PEOPLE)))
    members = {key: draw(st.sets(st.sampled_from(PEOPLE))) for key in SEGMENTS}
    return World(people, draw(st.lists(_events(), max_size=24)), moved, members)


@st.composite
def _events(draw: st.DrawFn) -> dict[str, Any]:
    type_, name = draw(
        st.sampled_from(
            (
                ("PURCHASE", "Order Completed"),
                ("PURCHASE", "purchase"),
                ("EMAIL_OPEN", "it's"),
                ("CUSTOM", "it's"),
                ("CUSTOM", "Custom Thing"),
            )
        )
    )
    properties: dict[str, Any] = {}
    if draw(st.booleans()):
        properties["revenue"] = draw(st.one_of(_amounts, _amounts, _values))
        properties["category"] = draw(st.one_of(_texts, _values))
    properties |= draw(st.dictionaries(st.sampled_from(("size", "it's.sku")), _values, max_size=2))
    return {
        "profile": draw(st.one_of(st.just(1), st.sampled_from(FRAGMENTS))),
        "type": type_,
        "event": name,
        "ts": draw(TIMES),
        "properties": properties,
    }


def _tests(kind: str | None, *, stored: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Operators with values for something of that kind. `stored`: texts may be asked as times."""
    order = st.sampled_from(("=", "!=", ">", ">=", "<", "<=", "equals", "greater_than"))
    presence = st.fixed_dictionaries({"operator": st.sampled_from(("exists", "not_exists"))})
    lists = st.sampled_from(("in", "not_in"))
    times = st.one_of(
        st.fixed_dictionaries({"operator": st.sampled_from(("before", "after")), "value": st.sampled_from(MOMENTS)}),
        st.fixed_dictionaries(
            {"operator": st.sampled_from(("within_last", "within_next")), "value": st.sampled_from(SPANS)}
        ),
    )

    def compared(values: st.SearchStrategy[Any], operators: st.SearchStrategy[str] = order) -> Any:
        bounds = st.lists(values, min_size=2, max_size=2).map(sorted)
        return st.one_of(
            st.fixed_dictionaries({"operator": operators, "value": values}),
            st.fixed_dictionaries({"operator": lists, "value": st.lists(values, min_size=1, max_size=3)}),
            *([st.fixed_dictionaries({"operator": st.just("between"), "value": bounds})] if operators is order else []),
        )

    substring = st.fixed_dictionaries(
        {"operator": st.sampled_from(("contains", "not_contains", "starts_with", "ends_with")), "value": _texts}
    )
    member = st.fixed_dictionaries({"operator": st.sampled_from(("contains", "not_contains")), "value": _texts})
    flags = compared(_flags, st.sampled_from(("=", "!=")))
    texts = compared(
        st.sampled_from([text for text in TEXTS if not text.startswith("2026")] if kind is None else TEXTS)
    )
    of: dict[str | None, Any] = {
        "number": st.one_of(compared(_numbers), presence),
        "text": st.one_of(texts, substring, presence, *([times] if stored else [])),
        "flag": st.one_of(flags, presence),
        "time": st.one_of(times, compared(st.sampled_from(DAYS)), presence),
        "list": st.one_of(member, presence),
        None: st.one_of(
            compared(_numbers), texts, substring, flags, times, presence, member, compared(st.sampled_from(DAYS))
        ),
    }
    return of[kind]


def _with(node: dict[str, Any], test: dict[str, Any]) -> dict[str, Any]:
    return {**node, **test}


_property = st.sampled_from(PROPERTY_KEYS).flatmap(
    lambda key: _tests(TYPED_PROPERTIES[key].kind if key in TYPED_PROPERTIES else None).map(
        lambda test: _with({"field": key}, test)
    )
)
_where: st.SearchStrategy[Any] = st.recursive(
    _property,
    lambda part: st.fixed_dictionaries(
        {"operator": st.sampled_from(("AND", "OR", "NOT")), "conditions": st.lists(part, min_size=1, max_size=3)}
    ),
    max_leaves=3,
)


@st.composite
def aggregates(draw: st.DrawFn) -> dict[str, Any]:
    """What can be computed of events."""
    node: dict[str, Any] = {"event": draw(st.sampled_from(EVENT_NAMES))}
    function = draw(
        st.sampled_from(
            ("count", "count", "sum", "avg", "min", "max", "first", "last", "distinct", "most_frequent", "unique_list")
        )
    )
    node["aggregate"] = function
    if function in ("sum", "avg"):
        node["property"] = draw(st.sampled_from(("revenue", "size")))
    elif function == "unique_list":
        node["property"] = draw(st.sampled_from(("category", "size")))
    elif function == "distinct":
        node["property"] = draw(st.sampled_from(PROPERTY_KEYS))
    elif function != "count":
        node["property"] = draw(st.sampled_from(PROPERTY_KEYS))
        if node["property"] not in TYPED_PROPERTIES:
            kinds = ("number", "text", "time") if function in ("min", "max") else ("number", "text", "flag", "time")
            node["kind"] = draw(st.sampled_from(kinds))
    if draw(st.booleans()):
        node["where"] = draw(_where)
    window = draw(st.sampled_from(("", "", "within", "period", "before", "after", "between")))
    if window == "within":
        node["within"] = draw(st.sampled_from(SPANS))
    elif window == "period":
        node["within"] = draw(
            st.sampled_from(
                (
                    "today",
                    "yesterday",
                    "this_week",
                    "last_week",
                    "this_month",
                    "last_month",
                    "this_quarter",
                    "last_year",
                )
            )
        )
    elif window == "between":
        node["between"] = sorted(draw(st.lists(st.sampled_from(DAYS), min_size=2, max_size=2)))
    elif window:
        node[window] = draw(st.sampled_from(MOMENTS))
    return node


@st.composite
def _happened(draw: st.DrawFn) -> dict[str, Any]:
    node = draw(aggregates())
    function = node["aggregate"]
    if function == "count" and draw(st.booleans()):
        del node["aggregate"]
        return node
    if function in ("count", "sum", "avg", "distinct"):
        kind = "number"
    elif function == "unique_list":
        kind = "list"
    else:
        kind = TYPED_PROPERTIES[node["property"]].kind if node["property"] in TYPED_PROPERTIES else node["kind"]
    return _with(node, draw(_tests(kind, stored=False)))


@st.composite
def sequences(draw: st.DrawFn) -> dict[str, Any]:
    """Two to four steps, some of them negated."""
    steps: list[dict[str, Any]] = []
    for number in range(draw(st.integers(2, 4))):
        step: dict[str, Any] = {"event": draw(st.sampled_from(("purchase", "email_open", "it's")))}
        if draw(st.integers(0, 4)) == 0:
            step["where"] = draw(_where)
        if number:
            if draw(st.integers(0, 2)) == 0:
                step["negate"] = True
            if draw(st.booleans()):
                step["after"] = draw(st.sampled_from(SPANS))
        steps.append(step)
    node: dict[str, Any] = {"sequence": steps}
    if draw(st.booleans()) or any(step.get("negate") and "after" not in step for step in steps):
        node["within"] = draw(st.sampled_from(("2d", "1w")))
    if draw(st.integers(0, 2)) == 0:
        node["lookback"] = draw(st.sampled_from(("2d", "1w")))
    return node


_trait = st.sampled_from(TRAIT_KEYS).flatmap(
    lambda key: st.tuples(st.sampled_from(("trait", "field")), _tests(TYPED_TRAITS.get(key))).map(
        lambda pair: _with({pair[0]: key}, pair[1])
    )
)
_measure = st.sampled_from(
    (("createdAt", "time"), ("purchaseCount", "number"), ("firstSeenDate", "time"), *COMPUTED_KINDS.items())
).flatmap(lambda named: _tests(named[1], stored=False).map(lambda test: _with({"field": named[0]}, test)))
_consent = st.fixed_dictionaries({"consent": st.sampled_from(("MARKETING_EMAIL", "SMS")), "granted": st.booleans()})
_member = st.fixed_dictionaries({"segment": st.sampled_from(SEGMENTS), "member": st.booleans()})
_personal = st.sampled_from(
    (
        {"field": "email", "operator": "=", "value": "b@example.com"},
        {"field": "email", "operator": "in", "value": ["b@example.com", "c@example.com"]},
        {"field": "email", "operator": "exists"},
        {"field": "email", "operator": "not_exists"},
    )
)
leaves = st.one_of(_trait, _trait, _happened(), _happened(), sequences(), _measure, _consent, _member, _personal)
rules: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda part: st.one_of(
        st.lists(part, min_size=1, max_size=3),
        st.fixed_dictionaries(
            {"operator": st.sampled_from(("AND", "or", "NOT")), "conditions": st.lists(part, min_size=1, max_size=3)}
        ),
    ),
    max_leaves=5,
)
