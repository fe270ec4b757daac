"""The engine and the naive interpreter agree on who satisfies a rule, whatever the rule and the people."""

from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.lake.rules.canonical import to_json
from cdp.lake.rules.compile import compile_rules, members_of, values_of
from cdp.lake.rules.parse import parse, parse_aggregate
from tests.cdp.lake.rules.asking import CATALOGUE, column_sets, ids, personal_tables
from tests.cdp.lake.rules.generated import (
    COMPUTED,
    NOW,
    PEOPLE,
    PERSONAL,
    ZONES,
    aggregates,
    rules,
    worlds,
)
from tests.cdp.lake.rules.oracle import MISSING, Oracle
from tests.cdp.lake.rules.world import World


@pytest.fixture(scope="module")
def duck() -> Any:
    return ibis.duckdb.connect(threads=2)


_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@settings(max_examples=60, deadline=None, suppress_health_check=_SLOW)
@given(worlds(), st.lists(rules, min_size=1, max_size=8), st.sampled_from(ZONES), st.sets(st.sampled_from(PEOPLE)))
def test_members_are_those_of_the_interpreter(duck, world: World, given_rules, zone: str, some):
    oracle = Oracle(world, NOW, zone, COMPUTED, PERSONAL)
    expected = {f"r{number}": oracle.members(rule) for number, rule in enumerate(given_rules)}
    trees = {f"r{number}": parse(rule, CATALOGUE) for number, rule in enumerate(given_rules)}
    assert {key: parse(to_json(tree), CATALOGUE) for key, tree in trees.items()} == trees

    tables, personal = world.tables(), personal_tables(trees.values())
    everybody = compile_rules(trees, tables, now=NOW, zone=zone, personal=personal)
    assert column_sets(duck.to_pyarrow(everybody)) == expected

    only = compile_rules(trees, tables, now=NOW, zone=zone, personal=personal, only=ids(some))
    assert column_sets(duck.to_pyarrow(only)) == {key: ids & some for key, ids in expected.items()}

    first = duck.to_pyarrow(members_of(trees["r0"], tables, now=NOW, zone=zone, personal=personal))
    assert sorted(first["person"].to_pylist()) == sorted(expected["r0"])


@settings(max_examples=40, deadline=None, suppress_health_check=_SLOW)
@given(worlds(), st.lists(aggregates(), min_size=1, max_size=6), st.sampled_from(ZONES))
def test_values_are_those_of_the_interpreter(duck, world: World, nodes, zone: str):
    oracle = Oracle(world, NOW, zone, COMPUTED, PERSONAL)
    asked = {f"v{number}": parse_aggregate(node, CATALOGUE) for number, node in enumerate(nodes)}
    found = duck.to_pyarrow(values_of(asked, world.tables(), now=NOW, zone=zone)).to_pylist()
    expected = [
        {"person": person["person"]}
        | {
            f"v{number}": None if (value := oracle.aggregate(person, node)) is MISSING else value
            for number, node in enumerate(nodes)
        }
        for person in world.people
    ]
    assert sorted(found, key=lambda row: row["person"]) == expected
