"""Who has nothing that a rule looks at: the short way around them is taken exactly where they cannot be members."""

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.expr.operations import JoinChain

from cdp.lake.rules.compile import members_of
from cdp.lake.rules.facts import leaves
from cdp.lake.rules.nobody import false_if_absent
from cdp.lake.rules.parse import parse
from cdp.lake.rules.tree import Happened, Leaf, Member, Personal, Sequence
from tests.cdp.lake.rules.asking import CATALOGUE, personal_tables
from tests.cdp.lake.rules.generated import COMPUTED, NOW, PERSONAL, ZONES, rules
from tests.cdp.lake.rules.oracle import Oracle
from tests.cdp.lake.rules.world import World

_NOBODY = 10**9
_TEST = {"event": "purchase"}
_SUM = {"event": "purchase", "aggregate": "sum", "property": "revenue"}
_PLAN = {"trait": "plan", "operator": "=", "value": "pro"}
_MAX = {"event": "purchase", "aggregate": "max", "property": "revenue"}

CASES = [
    # a rule, and whether those who did nothing can be left out
    (_TEST, True),
    ({**_TEST, "operator": ">=", "value": 1}, True),
    ({**_TEST, "operator": ">=", "value": 0}, False),
    ({**_TEST, "operator": ">", "value": 0}, True),
    ({**_TEST, "operator": ">", "value": -1}, False),
    ({**_TEST, "operator": "=", "value": 0}, False),
    ({**_TEST, "operator": "=", "value": 2}, True),
    ({**_TEST, "operator": "!=", "value": 0}, True),
    ({**_TEST, "operator": "!=", "value": 2}, False),
    ({**_TEST, "operator": "<", "value": 3}, False),
    ({**_TEST, "operator": "<", "value": 0}, True),
    ({**_TEST, "operator": "<=", "value": 0}, False),
    ({**_TEST, "operator": "between", "value": [0, 2]}, False),
    ({**_TEST, "operator": "between", "value": [1, 2]}, True),
    ({**_TEST, "operator": "in", "value": [0, 2]}, False),
    ({**_TEST, "operator": "in", "value": [1, 2]}, True),
    ({**_TEST, "operator": "not_in", "value": [0, 2]}, True),
    ({**_TEST, "operator": "not_in", "value": [1, 2]}, False),
    ({**_SUM, "operator": ">", "value": 10}, True),
    ({**_SUM, "operator": "<", "value": 10}, False),
    ({**_MAX, "operator": ">", "value": 10}, True),
    ({**_MAX, "operator": "!=", "value": 10}, False),
    ({"sequence": [_TEST, {"event": "email_open"}]}, True),
    ({"operator": "NOT", "conditions": [_TEST]}, False),
    ({"operator": "NOT", "conditions": [{**_TEST, "operator": ">=", "value": 0}]}, True),
    ({"operator": "AND", "conditions": [_TEST, _PLAN]}, True),
    ({"operator": "OR", "conditions": [_TEST, _PLAN]}, False),
]


def _lacking(leaf: Leaf) -> bool:
    return isinstance(leaf, Happened | Sequence | Member | Personal)


@pytest.mark.parametrize(("rule", "short"), CASES, ids=[str(number) for number in range(len(CASES))])
def test_people_who_did_nothing_are_joined_only_where_they_can_be_members(rule, short):
    tree = parse(rule, CATALOGUE)
    assert false_if_absent(tree, _lacking) == short
    members = members_of(tree, World().tables(), now=NOW, zone="UTC")
    outermost = members.op().find(JoinChain)[0]
    assert {link.how for link in outermost.rest} == {"inner" if short else "left"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules, st.sampled_from(ZONES))
def test_it_is_what_the_interpreter_says_of_somebody_with_nothing(rule, zone):
    nobody = {"person": _NOBODY, "created": 0, "traits": {}, "expires": {}, "consents": {}}
    tree = parse(rule, CATALOGUE)
    member = _NOBODY in Oracle(World([nobody], [], {}), NOW, zone, COMPUTED, PERSONAL).members(rule)
    short = false_if_absent(tree, _lacking)
    if all(map(_lacking, leaves(tree))):
        assert short == (not member)
    elif short:
        assert not member


def test_the_short_way_loses_nobody():
    nobody = {"person": _NOBODY, "created": 0, "traits": {}, "expires": {}, "consents": {}}
    duck, world = ibis.duckdb.connect(), World([nobody], [], {})
    for rule, short in CASES:
        tree = parse(rule, CATALOGUE)
        answer = members_of(tree, world.tables(), now=NOW, zone="UTC", personal=personal_tables([tree]))
        assert duck.to_pyarrow(answer)["person"].to_pylist() == ([] if short or _is_of(rule) else [_NOBODY]), rule


def _is_of(rule: dict) -> bool:
    """Whether it also asks for a trait that nobody has."""
    return _PLAN in rule.get("conditions", [])
