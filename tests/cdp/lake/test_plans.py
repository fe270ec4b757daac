"""A text that was kept and filled in with another moment is the one that would be built anew at that moment."""

import re
import threading
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.core.clock import DAY, HOUR
from cdp.lake import engine as engines
from cdp.lake.duck import DuckDB
from cdp.lake.engine import Snapshot
from cdp.lake.marks import Marks, Template
from cdp.lake.moment import Files, Moment
from cdp.lake.plans import Plan, Plans
from cdp.lake.rules.compile import compile_rules, members_of
from cdp.lake.rules.parse import parse
from cdp.lake.schema import events_schema, people_schema
from tests.cdp.lake.rules.asking import CATALOGUE, column_sets, personal_tables
from tests.cdp.lake.rules.generated import COMPUTED, NOW, PERSONAL, ZONES, rules, worlds
from tests.cdp.lake.rules.oracle import Oracle
from tests.cdp.lake.rules.world import World

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
_LATER = st.sampled_from([0, 1, HOUR, DAY, 7 * DAY, 31 * DAY, 400 * DAY, -DAY])


@pytest.fixture(scope="module")
def duck() -> Any:
    return ibis.duckdb.connect(threads=2)


@settings(max_examples=30, deadline=None, suppress_health_check=_SLOW)
@given(worlds(), st.lists(rules, min_size=1, max_size=5), st.sampled_from(ZONES), st.lists(_LATER, min_size=2))
def test_a_kept_text_gives_what_the_interpreter_says_at_every_moment(duck, world: World, given_rules, zone, later):
    trees = {f"r{number}": parse(rule, CATALOGUE) for number, rule in enumerate(given_rules)}
    tables, personal = world.tables(), personal_tables(trees.values())
    marks, alone = Marks(), Marks()
    everybody = compile_rules(trees, tables, now=marks, zone=zone, personal=personal)
    first = members_of(trees["r0"], tables, now=alone, zone=zone, personal=personal)
    template = marks.template(duck.compile(everybody))
    lone = alone.template(duck.compile(first))
    duck._run_pre_execute_hooks(everybody)
    duck._run_pre_execute_hooks(first)
    for now in (NOW + after for after in later):
        oracle = Oracle(world, now, zone, COMPUTED, PERSONAL)
        expected = {key: oracle.members(rule) for key, rule in zip(trees, given_rules, strict=True)}
        answer = duck.con.sql(template.at(now)).to_arrow_table()
        assert column_sets(answer) == expected
        some = duck.con.sql(lone.at(now)).to_arrow_table()
        assert sorted(some["person"].to_pylist()) == sorted(expected["r0"])


def test_no_mark_is_left_and_digits_of_the_rule_stay():
    nineteen = "1234567890123456789"
    rule = {"operator": "AND", "conditions": [
        {"trait": "code", "operator": "=", "value": nineteen},
        {"event": "purchase", "within": "this_month", "operator": ">=", "value": 3},
        {"event": nineteen, "within": "3d"},
    ]}  # fmt: skip
    marks = Marks()
    text = ibis.duckdb.connect().compile(
        compile_rules({"r": parse(rule, CATALOGUE)}, World().tables(), now=marks, zone="UTC")
    )
    filled = marks.template(text).at(NOW)
    assert len(re.findall(r"\d{19}", text)) > 2
    assert set(re.findall(r"\d{19}", filled)) == {nineteen}


def test_times_before_1970_are_whole_terms():
    class Early:
        def at(self, now: int) -> int:
            return now - 10

    marks = Marks()
    number = marks.mark(Early())
    assert marks.template(f"select 1 - {number}").at(3) == "select 1 - (-7)"
    assert marks.template(f"select 1 - {number}").at(13) == "select 1 - 3"


def _plan(length: int) -> Plan:
    return Plan(Template(("x" * length,), ()), pa.schema([]))


def test_plans_are_bounded_by_number_and_size_and_the_last_used_stay():
    plans = Plans(most=3, characters=1_000)
    made: list[str] = []

    def ask(key: str, length: int = 10) -> int:
        def make() -> Plan:
            made.append(key)
            return _plan(length)

        return plans.plan(key, make).size

    for key in "abacad":
        ask(key)
    assert (made, len(plans)) == (list("abcd"), 3)
    ask("a")
    assert made == list("abcd")
    ask("b")
    assert made == list("abcdb")
    assert ask("large", 990) == 990
    assert len(plans) == 2
    assert ask("huge", 5_000) == 5_000
    assert len(plans) == 0


def test_many_threads_get_the_plan_of_their_key():
    plans = Plans(most=4)
    wrong: list[int] = []

    def work(seed: int) -> None:
        for step in range(500):
            length = (seed * 7 + step) % 9 + 1
            if plans.plan(length, lambda length=length: _plan(length)).size != length:
                wrong.append(length)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (wrong, len(plans)) == ([], 4)


def _moment(typed: dict[str, Any]) -> Moment:
    people = people_schema(typed.values())
    row = {
        "person": 1, "version": 1, "at": 0, "gone": False, "fragments": [1], "created": 5, "num": [("score", 7.0)],
        "text": [], "flag": [], "time": [], "list": [], "expires": [], "next_expiry": None, "consents": [],
    } | {entry.column: 7.0 for entry in typed.values()}  # fmt: skip
    none = pa.schema([("profile", pa.int64())]).empty_table()
    members = pa.schema([("segment", pa.string()), ("person", pa.int64())]).empty_table()
    files = Files((), events_schema(), events_schema().empty_table)
    state = Files((), people, people.empty_table)
    tail = pa.Table.from_pylist([row], people)
    return Moment(files, events_schema().empty_table(), none, state, state, tail, members, typed)


def test_a_snapshot_builds_once_for_the_same_columns(monkeypatch: pytest.MonkeyPatch):
    from cdp.lake.schema import typed_traits

    monkeypatch.setattr(engines, "_plans", Plans())
    built: list[int] = []

    def build(tables: Any, now: Any) -> Any:
        from cdp.lake.marks import instant

        built.append(1)
        return tables.people.select("person", age=instant(now) - tables.people.created)

    for now, typed in ((10, {}), (25, {}), (30, typed_traits({"score": "number"})), (35, {})):
        with Snapshot(DuckDB(), lambda typed=typed: _moment(typed)) as snap:
            assert snap.ask("ages", build, now=now).to_pylist() == [{"person": 1, "age": now - 5}]
    assert len(built) == 2


def test_rows_that_an_expression_carries_are_refused():
    carried = ibis.memtable(pa.table({"person": pa.array([1], pa.int64())}))
    with Snapshot(DuckDB(), lambda: _moment({})) as snap, pytest.raises(ValueError, match="bring them"):
        snap.ask("carried", lambda _tables, _now: carried, now=1)
