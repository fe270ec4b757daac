"""Sizes of segments over the public CDNOW purchases, beside independent SQL over the file itself."""

import csv
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.core.management import call_command

from cdp.access.rights import EVERYTHING
from cdp.core.clock import now_us
from cdp.segments.estimate import estimate
from tests.cdp.segments.making import a_rule, members
from tests.data import CDNOW_MAPPING

pytestmark = pytest.mark.django_db


def bought(aggregate: str, operator: str, value: object, **more: object) -> dict[str, Any]:
    given = {} if aggregate == "count" else {"property": more.pop("property", "revenue")}
    return {"event": "purchase", "aggregate": aggregate, **given, "operator": operator, "value": value, **more}


def both(*conditions: dict[str, Any], operator: str = "AND") -> dict[str, Any]:
    return {"operator": operator, "conditions": list(conditions)}


_OF = "select count(*) from (select customer_id from purchases group by customer_id having {})"
MARCH = "min(date) between '1997-03-01' and '1997-03-31'"

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "bought at least 3 times and spent over 100": (
        both(bought("count", ">=", 3), bought("sum", ">", 100)),
        _OF.format("count(*) >= 3 and sum(amount) > 100"),
    ),
    "first bought in March 1997 and never again": (
        both(
            {"computed": "firstPurchaseDate", "operator": "between", "value": ["1997-03-01", "1997-03-31"]},
            bought("count", "=", 1),
        ),
        _OF.format(f"count(*) = 1 and {MARCH}"),
    ),
    "spent 50 to 80 in one purchase at most": (
        both(bought("max", "between", [50, 80])),
        _OF.format("max(amount) between 50 and 80"),
    ),
    "average order under 15": (both(bought("avg", "<", 15)), _OF.format("round(avg(amount), 6) < 15")),
    "never spent 20 in one purchase": (
        both(bought("count", ">=", 1, where=both({"field": "revenue", "operator": ">=", "value": 20})), operator="NOT"),
        _OF.format("count(*) filter (where amount >= 20) = 0"),
    ),
    "bought in the fourth quarter of 1997 for 100 in all": (
        both(bought("sum", ">=", 100, between=["1997-10-01", "1997-12-31"])),
        _OF.format("sum(amount) filter (where date between '1997-10-01' and '1997-12-31') >= 100"),
    ),
    "three different quantities": (
        both(bought("distinct", ">=", 3, property="quantity")),
        _OF.format("count(distinct quantity) >= 3"),
    ),
    "bought again within 30 days, on another day": (
        both({"sequence": [{"event": "purchase"}, {"event": "purchase", "after": "30d"}]}),
        "select count(distinct a.customer_id) from purchases a join purchases b on b.customer_id = a.customer_id"
        " and b.date > a.date and b.date <= a.date + interval 30 day",
    ),
    "loyal or big": (
        both(bought("count", ">=", 10), both(bought("sum", ">=", 500)), operator="OR"),
        _OF.format("count(*) >= 10 or sum(amount) >= 500"),
    ),
}

_SCORE = """{name} as (
    select value, 1 + floor(5.0 * (sum(n) over (order by value) - n) / sum(n) over ()) as score
    from (select {of} as value, count(*) as n from people group by value)
)"""
CHAMPIONS = f"""
with people as (select customer_id, max(date) as last, count(*) as times from purchases group by customer_id),
{_SCORE.format(name="recency", of="last")}, {_SCORE.format(name="frequency", of="times")}
select count(*) from people join recency r on r.value = last join frequency f on f.value = times
where r.score = 5 and f.score >= 4
"""
"""The score of a value is 1 + the fifths of all buyers who have less; champions have 5 and at least 4."""


@pytest.fixture(scope="module")
def purchases(cdnow: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("create table purchases (customer_id text, date date, quantity integer, amount decimal(18, 2))")
    with Path(cdnow).open(newline=None) as file:
        rows = list(csv.reader(file))[1:]
    connection.execute(
        "insert into purchases select unnest(?), unnest(?)::date, unnest(?)::integer, unnest(?)::decimal(18, 2)",
        [list(column) for column in zip(*rows, strict=True)],
    )
    return connection


def test_sizes_are_those_of_sql_over_the_file(cdnow: str, purchases: duckdb.DuckDBPyConnection):
    call_command("import_file", cdnow, *CDNOW_MAPPING)
    now = now_us()
    found = {name: estimate(rule, now=now, rights=EVERYTHING).size for name, (rule, sql) in CASES.items()}
    expected = {name: purchases.execute(sql).fetchone()[0] for name, (_, sql) in CASES.items()}
    assert found == expected
    assert all(0 < size < 23_570 for size in found.values())
    champions = a_rule("champions", {"computed": "rfmSegment", "operator": "=", "value": "champions"}, type="rfm")
    call_command("segments", "compute", "champions")
    assert len(members(champions)) == purchases.execute(CHAMPIONS).fetchone()[0]
