"""Rules in plain English, and what they depend on."""

import pytest

from cdp.lake.rules.facts import Facts, facts
from cdp.lake.rules.parse import parse, parse_aggregate
from cdp.lake.rules.tree import PersonalLeaf
from cdp.lake.rules.words import aggregate_in_words, in_words
from tests.cdp.lake.rules.asking import CATALOGUE

SPOKEN = [
    ([{"trait": "plan", "operator": "=", "value": "pro"}, {"consent": "SMS"}],
     "People whose plan is “pro”, and who have granted SMS."),
    ({"operator": "OR", "conditions": [
        {"trait": "age", "operator": ">=", "value": 18.5},
        [{"segment": "vip"}, {"segment": "o'brien", "member": False}]]},
     "People whose age is at least 18.5, or (who are in the segment “vip”, and who are not in the segment “o'brien”)."),
    ({"operator": "NOT", "conditions": [{"event": "email_open", "within": "30d"}]},
     "People, but not those who did email_open in the last 30 days."),
    ([{"trait": "vip", "operator": "=", "value": True}, {"operator": "NOT", "conditions": [
        {"trait": "country", "operator": "exists"}, {"consent": "SMS", "granted": False}]}],
     "People whose vip is true, and not those (whose country is known, and who have not granted SMS)."),
    ({"event": "purchase", "operator": ">=", "value": 3, "within": "this_month"},
     "People who did purchase at least 3 times this month."),
    ({"event": "purchase", "operator": "=", "value": 0, "after": "2026-03-01"},
     "People who did not do purchase after 2026-03-01."),
    ({"event": "purchase", "operator": "<", "value": 1}, "People who did not do purchase."),
    ({"event": "purchase", "operator": "in", "value": [1, 2]},
     "People whose number of times of purchase is one of 1, 2."),
    ({"event": "purchase", "aggregate": "sum", "property": "revenue", "operator": ">", "value": 150, "within": "1d",
      "where": {"operator": "OR", "conditions": [
          {"field": "category", "operator": "=", "value": "Books"},
          {"operator": "NOT", "conditions": [{"field": "size", "operator": "exists"}]}]}},
     "People whose sum of revenue of purchase where (category is “Books” or not (size is known)) in the last 1 day is "
     "more than 150."),
    ({"event": "purchase", "between": ["2026-03-01", "2026-03-31T10:00Z"]},
     "People who did purchase from 2026-03-01 to 2026-03-31 10:00Z."),
    ({"sequence": [{"event": "purchase"}, {"event": "email_open", "after": "2h"},
                   {"event": "purchase", "negate": True, "after": "1d"}], "within": "7d", "lookback": "90d"},
     "People who did purchase, then email_open within 2 hours, then did not do purchase within 1 day, all within 7 "
     "days, beginning in the last 90 days."),
    ({"field": "email", "operator": "=", "value": "a@b.example"}, "People whose email is a given value."),
    ({"field": "email", "operator": "in", "value": ["a", "b"]}, "People whose email is one of 2 given values."),
    ({"field": "email", "operator": "not_exists"}, "People whose email is not known."),
    ({"computed": "purchaseCount", "operator": "between", "value": [1, 3]},
     "People whose number of purchases is from 1 to 3."),
    ({"computed": "spent", "operator": "<", "value": 5}, "People whose spent is less than 5."),
    ({"field": "createdAt", "operator": "within_last", "value": "2w"},
     "People whose date of creation is in the last 14 days."),
    ({"trait": "renewal", "operator": ">=", "value": "2026-03-01"}, "People whose renewal is 2026-03-01 or later."),
    ({"trait": "plan", "operator": "not_in", "value": list("abcdefg")},
     "People whose plan is none of “a”, “b”, “c”, “d”, “e”, … (7 in all)."),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "words"), SPOKEN, ids=[str(number) for number in range(len(SPOKEN))])
def test_rules_in_words(rule, words):
    assert in_words(parse(rule, CATALOGUE)) == words


def test_aggregates_in_words():
    node = {"event": "purchase", "aggregate": "unique_list", "property": "category", "within": "90d"}
    words = "list of category of purchase in the last 90 days"
    assert aggregate_in_words(parse_aggregate(node, CATALOGUE)) == words


def test_facts_name_all_that_a_rule_looks_at():
    rule = [
        {"trait": "plan", "operator": "exists"},
        {"operator": "NOT", "conditions": [{"segment": "vip"}, {"event": "it's"}]},
        {"sequence": [{"event": "purchase"}, {"event": "email_open"}]},
        {"computed": "ltv", "operator": ">", "value": 1},
        {"field": "email", "operator": "not_exists"},
        {"field": "email", "operator": "exists"},
    ]
    assert facts(parse(rule, CATALOGUE)) == Facts(
        events=frozenset({"it's", "PURCHASE", "EMAIL_OPEN"}),
        traits=frozenset({"plan"}),
        segments=frozenset({"vip"}),
        measures=frozenset({"ltv"}),
        windowed=True,
        personal=(PersonalLeaf("email", "exists"),),
    )


@pytest.mark.parametrize(
    ("rule", "moves"),
    [
        ({"trait": "plan", "operator": "exists"}, False),
        ({"trait": "renewal", "operator": "within_next", "value": "1d"}, True),
        ({"trait": "renewal", "operator": "before", "value": "2026-01-01"}, False),
        ({"event": "purchase", "operator": ">", "value": 3}, False),
        ({"event": "purchase", "within": "1d"}, True),
        ({"event": "purchase", "within": "today"}, True),
        ({"event": "purchase", "between": ["2026-01-01", "2026-02-01"]}, False),
        ({"event": "purchase", "where": [{"field": "x", "operator": "within_last", "value": "1d"}]}, True),
        ({"sequence": [{"event": "a"}, {"event": "b"}], "within": "1d"}, False),
        ({"sequence": [{"event": "a"}, {"event": "b"}], "lookback": "1d"}, True),
        ({"sequence": [{"event": "a"}, {"event": "b", "negate": True, "after": "1d"}]}, True),
        ({"sequence": [{"event": "a"}, {"event": "b", "negate": True}, {"event": "c"}]}, False),
        ({"consent": "SMS"}, True),
        ({"computed": "ltv", "operator": ">", "value": 1}, True),
        ({"computed": "spent", "operator": ">", "value": 1}, True),
        ({"computed": "categories", "operator": "exists"}, False),
        ({"segment": "vip"}, False),
    ],
)
def test_whether_time_alone_changes_the_answer(rule, moves):
    assert facts(parse(rule, CATALOGUE)).windowed == moves
