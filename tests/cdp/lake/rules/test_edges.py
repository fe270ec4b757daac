"""Windows and gaps at their edges, to the microsecond: told by hand, without the interpreter."""

from typing import Any

import ibis
import pytest

from cdp.core.clock import DAY
from cdp.lake.rules.compile import compile_rules, members_of
from cdp.lake.rules.parse import parse
from tests.cdp.lake.rules.asking import CATALOGUE
from tests.cdp.lake.rules.generated import NOW
from tests.cdp.lake.rules.world import World

BUY, OPEN = "PURCHASE", "EMAIL_OPEN"
BOUGHT = {"event": "purchase"}
OPENED = {"event": "email_open"}
NOT_OPENED = {"event": "email_open", "negate": True}

CASES: list[tuple[Any, list[tuple[str, int]], bool]] = [
    # rule, events of one person as (type, µs from NOW), whether the rule holds
    ({**BOUGHT, "within": "1d"}, [(BUY, -DAY)], True),
    ({**BOUGHT, "within": "1d"}, [(BUY, -DAY - 1)], False),
    (BOUGHT, [(BUY, 0)], True),
    (BOUGHT, [(BUY, 1)], False),
    ({"sequence": [BOUGHT, OPENED]}, [(BUY, -2), (OPEN, -1)], True),
    ({"sequence": [BOUGHT, OPENED]}, [(BUY, -1), (OPEN, -1)], False),
    ({"sequence": [BOUGHT, OPENED]}, [(BUY, -1), (OPEN, 1)], False),
    ({"sequence": [BOUGHT, {**OPENED, "after": "1d"}]}, [(BUY, -DAY), (OPEN, 0)], True),
    ({"sequence": [BOUGHT, {**OPENED, "after": "1d"}]}, [(BUY, -DAY - 1), (OPEN, 0)], False),
    ({"sequence": [BOUGHT, OPENED, BOUGHT], "within": "1d"}, [(BUY, -DAY), (OPEN, -5), (BUY, 0)], True),
    ({"sequence": [BOUGHT, OPENED, BOUGHT], "within": "1d"}, [(BUY, -DAY - 1), (OPEN, -5), (BUY, 0)], False),
    ({"sequence": [BOUGHT, OPENED], "lookback": "1d"}, [(BUY, -DAY), (OPEN, 0)], True),
    ({"sequence": [BOUGHT, OPENED], "lookback": "1d"}, [(BUY, -DAY - 1), (OPEN, 0)], False),
    # the window of a negated last step: not closed, closed, and something in its last microsecond
    ({"sequence": [BOUGHT, {**NOT_OPENED, "after": "1d"}]}, [(BUY, -DAY + 1)], False),
    ({"sequence": [BOUGHT, {**NOT_OPENED, "after": "1d"}]}, [(BUY, -DAY)], True),
    ({"sequence": [BOUGHT, {**NOT_OPENED, "after": "1d"}]}, [(BUY, -2 * DAY), (OPEN, -DAY)], False),
    ({"sequence": [BOUGHT, {**NOT_OPENED, "after": "1d"}]}, [(BUY, -2 * DAY - 1), (OPEN, -DAY)], True),
    ({"sequence": [BOUGHT, {**NOT_OPENED, "after": "1d"}]}, [(BUY, -DAY), (OPEN, -DAY)], True),
    ({"sequence": [BOUGHT, NOT_OPENED], "within": "2d"}, [(BUY, -2 * DAY + 1)], False),
    ({"sequence": [BOUGHT, NOT_OPENED], "within": "2d"}, [(BUY, -2 * DAY)], True),
    # a negated step in the middle: strictly between the steps around it, and no later than its own `after`
    ({"sequence": [BOUGHT, NOT_OPENED, BOUGHT]}, [(BUY, -9), (OPEN, -5), (BUY, -1)], False),
    ({"sequence": [BOUGHT, NOT_OPENED, BOUGHT]}, [(BUY, -9), (OPEN, -9), (BUY, -1)], True),
    ({"sequence": [BOUGHT, NOT_OPENED, BOUGHT]}, [(BUY, -9), (OPEN, -1), (BUY, -1)], True),
    ({"sequence": [BOUGHT, NOT_OPENED, BOUGHT]}, [(BUY, -9), (OPEN, -5), (BUY, -4), (BUY, -1)], True),
    ({"sequence": [BOUGHT, {**NOT_OPENED, "after": "1d"}, BOUGHT]}, [(BUY, -2 * DAY), (OPEN, -DAY), (BUY, 0)], False),
    ({"sequence": [BOUGHT, {**NOT_OPENED, "after": "1d"}, BOUGHT]},
     [(BUY, -2 * DAY), (OPEN, -DAY + 1), (BUY, 0)], True),
    # the nearest next step does not lead on, a later one does
    ({"sequence": [BOUGHT, OPENED, {**BOUGHT, "after": "1d"}]},
     [(BUY, -9 * DAY), (OPEN, -8 * DAY), (OPEN, -DAY), (BUY, 0)], True),
]  # fmt: skip


def _world(events: list[tuple[str, int]]) -> World:
    """Person 1 with these events, half of them under fragment 2; person 3 with none."""
    people = [{"person": id_, "created": 0, "traits": {}, "expires": {}, "consents": {}} for id_ in (1, 3)]
    rows = [
        {"profile": number % 2 + 1, "type": type_, "event": "e", "ts": NOW + offset, "properties": {}}
        for number, (type_, offset) in enumerate(events)
    ]
    return World(people, rows, {2: 1})


@pytest.mark.parametrize(("rule", "events", "holds"), CASES, ids=[str(number) for number in range(len(CASES))])
def test_to_the_microsecond(rule, events, holds):
    duck, tables, tree = ibis.duckdb.connect(), _world(events).tables(), parse(rule, CATALOGUE)
    alone = duck.to_pyarrow(members_of(tree, tables, now=NOW, zone="UTC"))
    assert alone["person"].to_pylist() == ([1] if holds else [])
    among = duck.to_pyarrow(compile_rules({"rule": tree}, tables, now=NOW, zone="UTC").order_by("person"))
    assert among["rule"].to_pylist() == [holds, False]


@pytest.mark.parametrize(("offset", "holds"), [(-DAY - 1, False), (-DAY, True), (0, True), (1, False)])
def test_relative_times_of_facts(offset, holds):
    world = _world([])
    world.people[0]["created"] = NOW + offset
    rule = parse({"field": "createdAt", "operator": "within_last", "value": "1d"}, CATALOGUE)
    found = ibis.duckdb.connect().to_pyarrow(members_of(rule, world.tables(), now=NOW, zone="UTC"))
    assert found["person"].to_pylist() == ([1] if holds else [])
