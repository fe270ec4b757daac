"""One corpus on both engines: the interpreter, DuckDB and a real Spark session give the same people and values."""

from typing import Any

import ibis
import pytest

from cdp.lake.rules.compile import compile_rules, members_of, values_of
from cdp.lake.rules.parse import parse, parse_aggregate
from cdp.lake.tables import Tables
from tests.cdp.lake.rules.asking import CATALOGUE, column_sets, ids, personal_tables
from tests.cdp.lake.rules.corpus import EVENTS, PLAIN, SEQUENCES, TEXT, world
from tests.cdp.lake.rules.generated import COMPUTED, NOW, PERSONAL
from tests.cdp.lake.rules.oracle import MISSING, Oracle

ZONE = "Europe/Vilnius"
_AGGREGATES = {
    **COMPUTED,
    **{f"{function}Size": {"event": "purchase", "aggregate": function, "property": "size"}
       for function in ("sum", "avg", "min", "max", "first", "last", "distinct", "most_frequent", "unique_list")},
    "lately": {"event": "purchase", "aggregate": "first", "property": "size", "within": "2d"},
    "withCategory": {"event": "purchase", "aggregate": "last", "property": "size", "kind": "number",
                     "where": [{"field": "category", "operator": "exists"}]},
    "times": {"event": "it's", "within": "this_week"},
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus() -> Any:
    return world()


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def engine(request, corpus) -> Any:
    """The backend and the tables of the corpus in it."""
    arrow = corpus.arrow()
    if request.param == "duckdb":
        backend = ibis.duckdb.connect(threads=2)
        return backend, Tables(**{name: backend.create_table(name, table) for name, table in arrow.items()})
    backend = request.getfixturevalue("spark")
    for name, table in arrow.items():
        backend._session.createDataFrame(table).createOrReplaceTempView(f"corpus_{name}")
    return backend, Tables(**{name: backend.table(f"corpus_{name}") for name in arrow})


@pytest.mark.parametrize("rules", [PLAIN, TEXT, EVENTS, SEQUENCES], ids=["plain", "text", "events", "sequences"])
def test_both_engines_say_what_the_interpreter_says(engine, corpus, rules):
    backend, tables = engine
    oracle = Oracle(corpus, NOW, ZONE, COMPUTED, PERSONAL)
    expected = {f"r{number}": oracle.members(rule) for number, rule in enumerate(rules)}
    trees = {key: parse(rule, CATALOGUE) for key, rule in zip(expected, rules, strict=True)}
    given = {"now": NOW, "zone": ZONE, "personal": personal_tables(trees.values())}
    assert column_sets(backend.to_pyarrow(compile_rules(trees, tables, **given))) == expected

    some = {1, 2, 3, 7, 30}
    dirty = compile_rules(trees, tables, only=ids(some), **given)
    assert column_sets(backend.to_pyarrow(dirty)) == {key: people & some for key, people in expected.items()}

    last = list(trees)[-1]
    alone = backend.to_pyarrow(members_of(trees[last], tables, **given))
    assert set(alone["person"].to_pylist()) == expected[last]


def test_the_corpus_tells_people_apart(corpus):
    """Rules that everybody or nobody satisfies would prove little."""
    oracle = Oracle(corpus, NOW, ZONE, COMPUTED, PERSONAL)
    rules = [*PLAIN, *EVENTS, *SEQUENCES]
    undecided = [rule for rule in rules if len(oracle.members(rule)) in (0, len(corpus.people))]
    assert len(undecided) <= len(rules) // 10, undecided


def test_both_engines_compute_the_same_values(engine, corpus):
    backend, tables = engine
    oracle = Oracle(corpus, NOW, ZONE, COMPUTED, PERSONAL)
    asked = {name: parse_aggregate(node, CATALOGUE) for name, node in _AGGREGATES.items()}
    found = backend.to_pyarrow(values_of(asked, tables, now=NOW, zone=ZONE)).to_pylist()
    expected = [
        {"person": person["person"]}
        | {
            name: None if (value := oracle.aggregate(person, node)) is MISSING else value
            for name, node in _AGGREGATES.items()
        }
        for person in corpus.people
    ]
    assert sorted(found, key=lambda row: row["person"]) == expected
