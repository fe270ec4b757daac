"""What is refused, where, and in which words; what the seeds write; and JSON back from trees."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp.core.clock import DAY
from cdp.lake.rules.canonical import aggregate_json, to_json
from cdp.lake.rules.parse import Catalogue, RuleError, parse, parse_aggregate
from cdp.lake.rules.tree import (
    Aggregate,
    Group,
    Happened,
    Match,
    Measured,
    Moment,
    Personal,
    PersonalLeaf,
    Test,
    Trait,
    Window,
)
from tests.cdp.lake.rules.asking import CATALOGUE
from tests.cdp.lake.rules.generated import aggregates, rules

PLAN: dict[str, Any] = {"trait": "plan", "operator": "=", "value": "pro"}


def _deep(levels: int) -> Any:
    rule: Any = PLAN
    for _ in range(levels):
        rule = {"operator": "AND", "conditions": [rule]}
    return rule


REFUSED: list[tuple[Any, str, str]] = [
    (3, "$", "3 is no condition: an object such as {\"field\": …} is."),
    ({}, "$", "A condition names one of field, trait, computed, consent, segment, event, sequence."),
    ({"feild": "a"}, "$", "Did you mean 'field'?"),
    ({"conditions": []}, "$.conditions", "There is no condition: give at least one."),
    ({"conditions": {}}, "$.conditions", "'conditions' is a list of conditions."),
    ({"operator": "ANDD", "conditions": [PLAN]}, "$.operator", "'ANDD' does not connect conditions. Did you mean 'AN"),
    ({"operator": 1, "conditions": [PLAN]}, "$.operator", "There are: AND, NOT, OR."),
    ({"conditions": [PLAN], "name": "x"}, "$.name", "'name' means nothing here."),
    ([PLAN, {"trait": "plan"}], "$[1].operator", "An operator is missing: one of =, !=,"),
    ({"conditions": [PLAN, {"trait": "age", "operator": "grater", "value": 1}]}, "$.conditions[1].operator",
     "'grater' is no operator. Did you mean 'greater_than'?"),
    ({"trait": "age", "operator": "???", "value": 1}, "$.operator", "'???' is no operator. There are: =, !=, >, >="),
    ({"trait": "age", "operator": "=", "value": "18"}, "$.value", "'18' cannot be compared: the value must be a num"),
    ({"trait": "age", "operator": "contains", "value": "1"}, "$.operator",
     "'age' is a number: use one of =, !=, >, >=, <, <=, in, not_in, exists, not_exists, between, not 'contains'."),
    ({"trait": "vip", "operator": ">", "value": True}, "$.operator", "'vip' is true or false: use one of"),
    ({"trait": "tags", "operator": "=", "value": "x"}, "$.operator",
     "'tags' is a list: use one of contains, not_contains, exists, not_exists, not '='."),
    ({"trait": "renewal", "operator": "after", "value": "soon"}, "$.value", "must be a time: an ISO date such as"),
    ({"trait": "renewal", "operator": "after", "value": "2026-02-30"}, "$.value", "must be a time"),
    ({"trait": "x", "operator": "within_last", "value": "3 moons"}, "$.value", "'3 moons' is no span of time. Write"),
    ({"trait": "x", "operator": "within_last", "value": "0d"}, "$.value", "out of bounds: from one second to 100"),
    ({"trait": "x", "operator": "within_last", "value": "40000d"}, "$.value", "out of bounds"),
    ({"trait": "x", "operator": "="}, "$.value", "'=' needs a value. To find who has none, use 'not_exists'."),
    ({"trait": "x", "operator": "exists", "value": 3}, "$.value", "asks whether there is a value: leave 'value' out."),
    ({"trait": "x", "operator": "=", "value": ["a"]}, "$.value", "'=' takes one value. For several use 'in'."),
    ({"trait": "x", "operator": "in", "value": "a"}, "$.value", "'in' takes a list with at least one value."),
    ({"trait": "x", "operator": "in", "value": []}, "$.value", "at least one value"),
    ({"trait": "x", "operator": "in", "value": ["a", 1]}, "$.value[1]", "1 cannot be compared: the value must be a"),
    ({"trait": "x", "operator": "in", "value": ["a"] * 10_001}, "$.value", "10001 values; at most 10000 are allowed."),
    ({"trait": "x", "operator": "between", "value": [1]}, "$.value", "'between' takes a list of two values"),
    ({"trait": "x", "operator": "between", "value": [2, 1]}, "$.value", "The first value (2) must not be above the"),
    ({"trait": "x", "operator": "between", "value": ["2026-02-01", "2026-01-01"]}, "$.value", "must not be above"),
    ({"trait": "x", "operator": "=", "value": float("nan")}, "$.value", "NaN is no number to compare with."),
    ({"trait": "x", "operator": "=", "value": float("inf")}, "$.value", "too large: numbers go up to 1e15."),
    ({"trait": "x", "operator": "=", "value": 10**400}, "$.value", "too large"),
    ({"trait": "x", "operator": "=", "value": "y" * 1001}, "$.value", "The text has 1001 characters; at most 1000"),
    ({"trait": "x", "operator": "=", "value": "a\0b"}, "$.value", "a character that no stored value can have"),
    ({"trait": "x", "operator": "=", "value": "\ud800"}, "$.value", "a character that no stored value can have"),
    ({"trait": "x", "operator": "=", "value": {"a": 1}}, "$.value", "the value must be a text."),
    ({"trait": "", "operator": "exists"}, "$.trait", "'trait' is a name of up to 200 characters."),
    ({"trait": "x" * 201, "operator": "exists"}, "$.trait", "up to 200 characters"),
    ({"trait": "x", "field": "y", "operator": "exists"}, "$", "One condition asks one thing, not field and trait."),
    ({"trait": "x", "operator": "exists", "vale": 1}, "$.vale", "'vale' means nothing here. Did you mean 'value'?"),
    ({"computed": "ltvv", "operator": ">", "value": 1}, "$.computed",
     "'ltvv' is no measure and no computed trait. Did you mean 'ltv'?"),
    ({"computed": "rfmSegment", "operator": "before", "value": "2026-01-01"}, "$.operator", "is a text: use one of"),
    ({"field": "email", "operator": "contains", "value": "@"}, "$.operator",
     "'email' is personal and kept encrypted: use =, in, exists or not_exists."),
    ({"consent": "MARKETING"}, "$.consent", "'MARKETING' is no type of consent. Did you mean 'MARKETING_EMAIL'?"),
    ({"consent": "SMS", "granted": "yes"}, "$.granted", "'granted' is true or false, not 'yes'."),
    ({"consent": 7}, "$.consent", "'consent' is a type of consent, such as"),
    ({"segment": "vips"}, "$.segment", "There is no segment 'vips'. Did you mean 'vip'?"),
    ({"segment": ["vip"]}, "$.segment", "Give the key of a segment."),
    ({"segment": "vip", "member": 1}, "$.member", "'member' is true or false"),
    ({"event": ""}, "$.event", "'event' is the name of an event, up to 200 characters."),
    ({"event": "purchase", "windows": "3d"}, "$.windows", "'windows' means nothing here."),
    ({"event": "purchase", "within": "this_mont"}, "$.within", "nor a period. Did you mean 'this_month'?"),
    ({"event": "purchase", "within": 30}, "$.within", "30 is no span of time."),
    ({"event": "purchase", "aggregate": "median", "property": "x"}, "$.aggregate", "'median' is no aggregate."),
    ({"event": "purchase", "aggregate": "sum", "operator": ">", "value": 1}, "$.property", "'sum' needs the 'proper"),
    ({"event": "purchase", "aggregate": "sum", "property": "category", "operator": ">", "value": 1}, "$.property",
     "'category' holds a text, of which there is no 'sum'."),
    ({"event": "purchase", "aggregate": "count", "property": "x", "operator": ">", "value": 1}, "$.property",
     "'count' counts events: leave 'property' out, or use 'distinct'."),
    ({"event": "purchase", "aggregate": "sum", "property": "x"}, "$.operator", "An operator is missing"),
    ({"event": "purchase", "operator": ">=", "value": "3"}, "$.value", "the value must be a number"),
    ({"event": "purchase", "aggregate": "first", "property": "x", "kind": "lists"}, "$.kind", "is no kind of value"),
    ({"event": "purchase", "kind": "text"}, "$.kind", "'kind' is for min, max, first, last, most_frequent: leave it"),
    ({"event": "purchase", "aggregate": "min", "property": "revenue", "kind": "text", "operator": "exists"}, "$.kind",
     "'revenue' holds a number: leave 'kind' out."),
    ({"event": "purchase", "where": {"field": "revenue", "operator": "=", "value": "3"}}, "$.where.value", "a number"),
    ({"event": "purchase", "where": [PLAN]}, "$.where[0].trait", "'trait' means nothing here."),
    ({"event": "purchase", "where": {"operator": "OR", "conditions": [{"field": 1}]}}, "$.where.conditions[0].field",
     "'field' is the name of a property of the event."),
    ({"event": "purchase", "between": ["2026-01-01"]}, "$.between", "a list of two values"),
    ({"event": "purchase", "after": "now"}, "$.after", "must be a time"),
    ({"sequence": [{"event": "a"}]}, "$.sequence", "A sequence is a list of 2 to 10 steps."),
    ({"sequence": [{"event": "a"}, 3]}, "$.sequence[1]", "A step is an object such as"),
    ({"sequence": [{"event": "a", "negate": True}, {"event": "b"}]}, "$.sequence[0].negate", "The first step must"),
    ({"sequence": [{"event": "a", "after": "1d"}, {"event": "b"}]}, "$.sequence[0].after", "use 'lookback'"),
    ({"sequence": [{"event": "a"}, {"event": "b", "negate": True}]}, "$.sequence[1].after", "How long must it not"),
    ({"sequence": [{"event": "a"}, {"event": "b", "negate": 1}]}, "$.sequence[1].negate", "'negate' is true or false."),
    ({"sequence": [{"event": "a"}, {"event": "b"}], "within": "x"}, "$.within", "'x' is no span of time."),
    (_deep(11), "$" + ".conditions[0]" * 10, "Groups are nested more than 10 deep."),
    ({"conditions": [PLAN] * 201}, "$.conditions", "201 conditions; at most 200 are allowed."),
    ({"conditions": [[PLAN] * 100, [PLAN] * 101]}, "$.conditions[1][100]", "The rule has more than 200 conditions."),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "message"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_is_wrong_is_said_with_its_path(rule, path, message):
    with pytest.raises(RuleError) as refused:
        parse(rule, CATALOGUE)
    assert refused.value.path == path
    assert message in refused.value.message
    assert str(refused.value) == f"{path}: {refused.value.message}"


def test_every_problem_of_a_rule_is_named_at_once():
    with pytest.raises(RuleError) as refused:
        parse(
            {"operator": "XOR", "conditions": [{"trait": "age", "operator": "="}, PLAN, {"segment": "no"}]}, CATALOGUE
        )
    assert [path for path, _ in refused.value.problems] == [
        "$.operator",
        "$.conditions[0].value",
        "$.conditions[2].segment",
    ]
    assert refused.value.code == "invalid_rule"
    assert [problem["path"] for problem in refused.value.details["problems"]] == [  # type: ignore[attr-defined]
        path for path, _ in refused.value.problems
    ]


def test_limits_are_reached_but_not_passed():
    assert parse(_deep(10), CATALOGUE) is not None
    assert len(parse([PLAN] * 200, CATALOGUE).parts) == 200
    many = [f"v{number}" for number in range(10_000)]
    assert len(parse({"trait": "plan", "operator": "in", "value": many}, CATALOGUE).test.value) == 10_000
    assert parse({"trait": "plan", "operator": "=", "value": "y" * 1000}, CATALOGUE).test.value == "y" * 1000


def test_the_flat_list_and_the_words_of_002():
    seed = {"conditions": [{"field": "totalSpent", "operator": "greater_than", "value": 1000}]}
    expected = Group("AND", (Measured("totalSpent", Test(">", "number", 1000.0)),))
    assert parse(seed, CATALOGUE) == expected
    assert parse(seed["conditions"], CATALOGUE) == expected


@pytest.mark.parametrize("operator", ["=", "!=", ">", "<", ">=", "<=", "contains", "in"])
def test_the_operators_of_003(operator):
    value: Any = ["DE"] if operator == "in" else "DE"
    rule = {"operator": "OR", "conditions": [{"field": "country", "operator": operator, "value": value}]}
    test = parse(rule, CATALOGUE).parts[0].test
    assert (test.operator, test.value) == (operator, ("DE",) if operator == "in" else "DE")


def test_the_profile_document_of_003_names_fields():
    names = ("country", "attributes.country", "traits.country", "attributes.customFields.country")
    leaves = {parse({"field": name, "operator": "exists"}, CATALOGUE) for name in names}
    assert leaves == {Trait("country", Test("exists", "any"))}
    assert parse({"field": "computed.ltv", "operator": "exists"}, CATALOGUE) == Measured(
        "ltv", Test("exists", "number")
    )


@pytest.mark.parametrize(
    ("spelling", "operator"),
    [
        ("greaterThan", ">"), ("GREATER_THAN_OR_EQUAL", ">="), ("less than", "<"), ("at-most", "<="), ("eq", "="),
        ("notEquals", "!="), ("==", "="),
    ],
)  # fmt: skip
def test_operators_in_any_spelling(spelling, operator):
    assert parse({"trait": "age", "operator": spelling, "value": 1}, CATALOGUE) == Trait(
        "age", Test(operator, "number", 1.0)
    )


def test_the_kind_of_an_unknown_trait_is_the_kind_of_the_value():
    def test(operator: str, value: Any) -> Test:
        return parse({"trait": "x", "operator": operator, "value": value}, CATALOGUE).test

    assert test("=", 1) == Test("=", "number", 1.0)
    assert test("=", True) == Test("=", "flag", True)
    assert test("=", "2026-01-01") == Test("=", "text", "2026-01-01")
    assert test(">", "2026-01-01") == Test(">", "time", Moment("2026-01-01"))
    assert test(">", "b") == Test(">", "text", "b")
    assert test("in", [2, 1, 2]) == Test("in", "number", (2.0, 1.0))
    assert test("within_next", "2 weeks") == Test("within_next", "time", 14 * DAY)
    assert test("contains", "b") == Test("contains", "any", "b")


def test_events_are_types_of_the_vocabulary_or_names():
    for name in ("purchase", "PURCHASE", " Purchase "):
        assert parse({"event": name}, CATALOGUE).aggregate.match == Match("purchase", "PURCHASE")
    assert parse({"event": "Order Completed"}, CATALOGUE).aggregate.match == Match("Order Completed")
    assert parse({"event": "email open"}, CATALOGUE).aggregate.match == Match("email_open", "EMAIL_OPEN")


def test_an_event_without_an_operator_asks_whether_it_happened():
    expected = Aggregate(Match("purchase", "PURCHASE"), window=Window(within=90 * DAY))
    assert parse({"event": "purchase", "within": "90d"}, CATALOGUE) == Happened(expected, Test(">=", "number", 1.0))


def test_personal_values_are_personal_whatever_their_key():
    catalogue = msgspec.structs.replace(CATALOGUE, looks_personal=lambda _key, value: value == "a@b.example")
    leaf = parse({"trait": "contact", "operator": "=", "value": "a@b.example"}, catalogue)
    assert leaf == Personal(PersonalLeaf("contact", "=", ("a@b.example",)))
    assert isinstance(parse({"trait": "contact", "operator": "=", "value": "shop"}, catalogue), Trait)
    assert parse({"field": "email", "operator": "not_exists"}, catalogue) == Personal(
        PersonalLeaf("email", "exists"), holds=False
    )


def test_segments_may_not_go_round_in_a_circle():
    catalogue = Catalogue(segments=frozenset("abcd"), own="a", refers={"b": ["c"], "c": ["d", "a"], "d": []})
    assert parse({"segment": "d"}, catalogue) is not None
    with pytest.raises(RuleError) as refused:
        parse([{"segment": "d"}, {"segment": "b"}], catalogue)
    assert (refused.value.path, refused.value.message) == (
        "$[1].segment",
        "Segments may not refer to each other in a circle: a → b → c → a.",
    )
    with pytest.raises(RuleError, match="a → a"):
        parse({"segment": "a"}, catalogue)


@settings(max_examples=300, deadline=None)
@given(rules)
def test_json_and_back_is_the_same_tree(rule):
    tree = parse(rule, CATALOGUE)
    written = to_json(tree)
    assert parse(written, CATALOGUE) == tree
    assert msgspec.json.decode(msgspec.json.encode(written)) == written
    assert to_json(parse(written, CATALOGUE)) == written


@settings(max_examples=100, deadline=None)
@given(aggregates())
def test_aggregates_and_back_are_the_same(node):
    aggregate = parse_aggregate(node, CATALOGUE)
    assert parse_aggregate(aggregate_json(aggregate), CATALOGUE) == aggregate


@pytest.mark.parametrize("node", [3, {}, {"event": "a", "operator": ">", "value": 1}])
def test_what_no_computed_trait_can_be(node):
    with pytest.raises(RuleError):
        parse_aggregate(node, CATALOGUE)


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12)),
    lambda part: st.one_of(
        st.lists(part, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    ("operator", "conditions", "field", "trait", "computed", "event", "where", "sequence", "value",
                     "within", "consent", "segment", "aggregate", "property", "negate", "after", "kind", "between")
                ),
                st.text(max_size=5),
            ),
            part,
            max_size=5,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(_json)
def test_any_json_is_a_rule_or_refused_in_words(given_json):
    problems: tuple[tuple[str, str], ...] = ()
    try:
        tree = parse(given_json, CATALOGUE)
    except RuleError as refused:
        problems = refused.problems
    else:
        assert parse(to_json(tree), CATALOGUE) == tree
    assert all(path.startswith("$") and message.strip() for path, message in problems)
