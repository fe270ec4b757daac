"""The measures against a plain Python oracle, on both engines."""

import itertools
from typing import Any

import ibis
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp.core.clock import DAY
from cdp.lake.measures import MEASURES
from cdp.lake.measures.expressions import measured
from cdp.lake.measures.named import NAMED, rfm_segment
from cdp.lake.tables import Tables
from tests.cdp.lake.measures.oracle import measures_of, name_of
from tests.cdp.lake.measures.world import NOW, World, random_world

DUCKDB = ibis.duckdb.connect()


@pytest.fixture
def duckdb() -> Any:
    return DUCKDB


def computed(backend: Any, tables: Tables, names: Any = MEASURES) -> dict[int, dict[str, Any]]:
    rows = backend.to_pyarrow(measured(names, tables, NOW)).to_pylist()
    return {row.pop("person"): row for row in rows}


def rounded(rows: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {
        person: {name: round(value, 6) if isinstance(value, float) else value for name, value in sorted(row.items())}
        for person, row in rows.items()
    }


@pytest.mark.parametrize("seed", range(12))
def test_every_measure_is_the_oracles(duckdb, seed):
    world = random_world(seed)
    assert rounded(computed(duckdb, world.tables())) == rounded(measures_of(world))


def test_spark_gives_the_same(spark, tmp_path):
    world = random_world(99, people=40, events=250)
    views = {}
    for name, table in world.arrow().items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        views[name] = spark.read_parquet(str(tmp_path / f"{name}.parquet"), table_name=f"measures_{name}")
    assert rounded(computed(spark, Tables(**views))) == rounded(measures_of(world))


def test_one_measure_alone_is_what_it_is_among_all(duckdb):
    tables = random_world(7).tables()
    together = computed(duckdb, tables)
    for name, measure in MEASURES.items():
        alone = duckdb.to_pyarrow(measure.table(tables, NOW)).to_pylist()
        assert {row["person"]: row[name] for row in alone} == {person: row[name] for person, row in together.items()}
        assert measure.name == name


def test_kinds_are_the_columns_types(duckdb):
    types = {"number": "float64", "text": "string", "time": "int64"}
    schema = measured(MEASURES, World().tables(), NOW).schema()
    assert {name: str(schema[name]) for name in MEASURES} == {n: types[m.kind] for n, m in MEASURES.items()}


def test_local_measures_need_only_the_persons_own_rows(duckdb):
    world = random_world(3)
    whole = computed(duckdb, world.tables())
    own = [event for event in world.events if world.moved.get(event["profile"], event["profile"]) in (1, 2)]
    few = World(people={1: world.people[1], 2: world.people[2]}, events=own, moved=world.moved)
    local = [name for name, measure in MEASURES.items() if measure.local]
    ranking = {"recencyScore", "frequencyScore", "monetaryScore", "rfmSegment"}
    assert set(MEASURES) - set(local) == ranking
    part = computed(duckdb, few.tables(), local)
    assert part == {person: {name: whole[person][name] for name in local} for person in (1, 2)}


def test_nobody_is_no_rows(duckdb):
    assert computed(duckdb, World().tables()) == {}


@settings(max_examples=60, deadline=None)
@given(purchases=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=60))
def test_equal_values_have_equal_scores_and_larger_ones_no_smaller(purchases):
    world = World()
    for person in range(1, 13):
        world.person(person)
    for person, ago, amount in purchases:
        world.event(person, "PURCHASE", ago, f"{amount}.0000")
    rows = computed(DUCKDB, world.tables()).values()
    for value, score in (
        ("lastPurchaseDate", "recencyScore"),
        ("purchaseCount", "frequencyScore"),
        ("ltv", "monetaryScore"),
    ):
        pairs = sorted((row[value], row[score]) for row in rows if row["purchaseCount"])
        assert all(1 <= mark <= 5 for _, mark in pairs)
        assert pairs[0][1] == 1
        for (low, low_score), (high, high_score) in itertools.pairwise(pairs):
            assert low_score == high_score if low == high else low_score <= high_score


def test_without_ties_a_fifth_has_each_score(duckdb):
    world = World()
    for person in range(1, 51):
        world.person(person)
        for _ in range(person):
            world.event(person, "PURCHASE", 60 - person, "1.0000")
    rows = computed(duckdb, world.tables())
    for score in ("recencyScore", "frequencyScore", "monetaryScore"):
        assert [rows[person][score] for person in range(1, 51)] == [1 + (person - 1) // 10 for person in range(1, 51)]


def test_every_combination_of_scores_is_in_exactly_one_of_ten_segments():
    assert len({named.key for named in NAMED}) == 10
    for recency in range(1, 6):
        for frequency in range(1, 6):
            assert [n.key for n in NAMED if n.holds(recency, frequency)] == [name_of(recency, frequency)]
            assert rfm_segment(recency, frequency).key == name_of(recency, frequency)
    for wrong in ((0, 1), (6, 1), (1, 0), (1, 6)):
        with pytest.raises(ValueError, match="scores go from 1 to 5"):
            rfm_segment(*wrong)


def test_the_bounds_of_the_stages(duckdb):
    ages = {1: 30, 2: 30 + 1 / DAY, 3: 90, 4: 90 + 1 / DAY, 5: 180 + 1 / DAY, 6: 365, 7: 365 + 1 / DAY}
    world = World()
    for person, ago in ages.items():
        world.person(person)
        world.events.append({"profile": person, "type": "PURCHASE", "call": 1, "ts": NOW - round(ago * DAY)})
    world.person(8, created=NOW - 365 * DAY)
    world.person(9, created=NOW - 365 * DAY - 1)
    found = {person: row["lifecycleStage"] for person, row in computed(duckdb, world.tables()).items()}
    assert found == {
        1: "new", 2: "active", 3: "active", 4: "at_risk", 5: "dormant", 6: "dormant", 7: "churned",
        8: "prospect", 9: "inactive",
    }  # fmt: skip
