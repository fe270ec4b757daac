"""A million people and ten million events as Parquet files with the columns of the lake, made with SQL in a minute.

Everything follows from the numbers of the rows, so that every run has the same data: events in one folder for each
month, sorted by profile; some people do much more than others; 2 % of the fragments belong to another person.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from cdp.lake.marks import Marks, Now
from cdp.lake.plans import Plan, Plans
from cdp.lake.rules.compile import members_of
from cdp.lake.rules.parse import Catalogue, parse
from cdp.lake.tables import Tables

NOW = 1_790_000_000_000_000
DAY = 86_400_000_000
MONTHS = 24
PEOPLE, EVENTS = 1_000_000, 10_000_000
NAMES = (
    ("PAGE_VIEW", "Page Viewed", 45), ("PRODUCT_VIEW", "Product Viewed", 20), ("ADD_TO_CART", "Product Added", 10),
    ("PURCHASE", "Order Completed", 5), ("EMAIL_OPEN", "Email Opened", 8), ("SEARCH", "Products Searched", 6),
    ("LOGIN", "Signed In", 4), ("CUSTOM", "Quiz Done", 2),
)  # fmt: skip
COUNTRIES = ("DE", "LT", "US", "FR", "PL", "GB")
_EMPTY = "map([]::varchar[], []::{}[])"


@dataclass(frozen=True)
class Typed:
    """A typed column of a property."""

    column: str
    kind: str


CATALOGUE = Catalogue(
    traits={"country": "text", "plan": "text", "age": "number"},
    properties={"revenue": Typed("p_revenue", "number"), "category": Typed("p_category", "text")},
    types=[type_ for type_, _, _ in NAMES],
    segments=frozenset({"vip"}),
)


class Lake:
    """The generated files and a connection to them."""

    def __init__(self, folder: Path, people: int, events: int) -> None:
        self.people, self.events = people, events
        self.plans = Plans()
        self.backend = ibis.duckdb.connect(threads=2, memory_limit="6GB", preserve_insertion_order=False)
        self.raw = self.backend.con
        self.raw.execute("set TimeZone = 'UTC'")
        self._write(folder)
        names = {name: sorted(map(str, folder.glob(f"{name}*/**/*.parquet"))) for name in ("people", "events", "moved")}
        found = {name: self.backend.read_parquet(files, table_name=name) for name, files in names.items()}
        self._none = pa.table({"segment": pa.array([], pa.string()), "person": pa.array([], pa.int64())})
        self.raw.register("members", self._none)
        self.tables = Tables(**found, members=self.backend.table("members"))

    def ids(self, rule: Any, *, now: int = NOW) -> pa.Table:
        """The members of a rule, as the product asks for them: a text that was built before is filled in again."""
        tree = parse(rule, CATALOGUE)
        return self.ask(("ids", tree), lambda at: members_of(tree, self.tables, now=at, zone="UTC"), now=now)

    def ask(self, key: Hashable, build: Callable[[Now], Any], *, now: int) -> pa.Table:
        """The answer to what `build` makes; its text is kept as `Snapshot.ask` keeps it."""

        def make() -> Plan:
            marks = Marks()
            expression = build(marks)
            return Plan(marks.template(self.backend.compile(expression)), expression.schema().to_pyarrow())

        return self.raw.sql(self.plans.plan(key, make).text.at(now)).to_arrow_table()

    def arrow(self, expression: Any) -> pa.Table:
        """The answer to an expression."""
        return self.raw.sql(self.backend.compile(expression)).to_arrow_table()

    def _write(self, folder: Path) -> None:
        for name in ("people", "moved"):
            (folder / name).mkdir(parents=True)
        people, moved = folder / "people" / "0.parquet", folder / "moved" / "0.parquet"
        # A fiftieth of the fragments belongs to somebody else.
        self.raw.execute(
            f"copy (select i::bigint profile, (i - i % 50 + 1)::bigint person from range(1, {self.people} + 1) t(i)"
            f" where i % 50 = 0 and i + 1 <= {self.people}) to '{moved}'"
        )
        self.raw.execute(f"copy ({_people_sql(self.people)}) to '{people}' (row_group_size 100000)")
        for month in range(MONTHS):
            part = folder / "events" / f"month={month:02}"
            part.mkdir(parents=True)
            self.raw.execute(
                f"copy ({_events_sql(month, self.people, self.events // MONTHS)}) to '{part / '0.parquet'}'"
                " (row_group_size 100000, compression zstd)"
            )


def _chance(of: str, salt: int) -> str:
    """A pseudo-random number from 0 to 1 for each `of`."""
    return f"((hash({of} * 1000003 + {salt}) % 1000000007) / 1000000007.0)"


def _pick(of: str, salt: int, values: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"[{listed}][1 + floor({_chance(of, salt)} * {len(values)})::int]"


def _people_sql(people: int) -> str:
    maps = ", ".join(
        f'{_EMPTY.format(kind)} as "{name}"'
        for name, kind in (("text", "varchar"), ("flag", "boolean"), ("time", "bigint"), ("list", "varchar[]"))
    )
    numbers = ", ".join(f"'t{k}'" for k in range(6))
    values = ", ".join(f"floor({_chance('i', 50 + k)} * 100)" for k in range(6))
    return f"""select i::bigint as person, {NOW - 900 * DAY} + i as created, {_pick("i", 1, COUNTRIES)} as t_country,
        case when {_chance("i", 2)} < 0.8 then {_pick("i", 3, ("free", "free", "free", "pro", "team"))} end as t_plan,
        case when {_chance("i", 4)} < 0.6 then 18 + floor({_chance("i", 5)} * 60) end::double as t_age,
        map([{numbers}], [{values}]::double[]) as num, {maps}, {_EMPTY.format("bigint")} as expires,
        case when {_chance("i", 6)} < 0.5 then map(['MARKETING_EMAIL'], [{2**63 - 1}]) else {_EMPTY.format("bigint")}
        end as consents
        from range(1, {people} + 1) t(i) where i % 50 <> 0 or i = {people} order by i"""


def _events_sql(month: int, people: int, count: int) -> str:
    begin, length = NOW - (MONTHS - month) * 30 * DAY, 30 * DAY
    low, cases, names = 0, [], []
    for type_, name, share in NAMES:
        low += share
        cases.append(f"when u < {low / 100} then '{type_}'")
        names.append(f"when u < {low / 100} then '{name}'")
    maps = ", ".join(
        f'{_EMPTY.format(kind)} as "{name}"'
        for name, kind in (("num", "double"), ("flag", "boolean"), ("time", "bigint"), ("list", "varchar[]"))
    )
    empty = _EMPTY.format("varchar")
    goods = "type in ('PRODUCT_VIEW', 'ADD_TO_CART', 'PURCHASE')"
    return f"""select *,
        case when {goods} then map(['sku'], ['s' || (i % 5000)::varchar]) else {empty} end as "text", {maps}
        from (select i, md5(i::varchar)::blob as digest,
            1 + (floor({people} * pow({_chance("i", 11)}, 2)) * 7919 % {people})::bigint as profile,
            1::int as source, 1::tinyint as call, case {" ".join(cases)} else 'CUSTOM' end as type,
            case {" ".join(names)} else 'Quiz Done' end as event,
            ({begin} + floor({_chance("i", 12)} * {length / 1e6}) * 1000000)::bigint as ts, ts + 1000000 as received,
            false as imported,
            case when type = 'PURCHASE' then round(5 + 200 * pow({_chance("i", 13)}, 3), 2) end as p_revenue,
            p_revenue::decimal(18, 4) as p_amount, case when type = 'PURCHASE' then 'EUR' end as p_currency,
            case when {goods} then {_pick("i", 14, ("Books", "Music", "Toys", "Garden", "Food", "Sport"))} end
            as p_category,
            case when type = 'PAGE_VIEW' then '/p/' || (i % 900)::varchar end as p_path
            from (select i, {_chance("i", 10)} as u from range({month * count}, {(month + 1) * count}) t(i)))
        order by profile, ts"""
