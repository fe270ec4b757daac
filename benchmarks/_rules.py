"""What `rules.py` measures."""

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from benchmarks._million import CATALOGUE, EVENTS, NOW, PEOPLE, Lake
from benchmarks._questions import ESTIMATE, QUESTIONS, SEGMENTS, by_window, many_rules, without_ignore_nulls
from cdp.lake.measures.expressions import measured
from cdp.lake.rules.compile import compile_rules, members_of
from cdp.lake.rules.parse import parse

RUNS = 3
DIRTY = 2_500
POSTGRES, TOGETHER = 5.0, 0.6
"""At least so many times quicker; at most this part."""
ESTIMATE_SECONDS, TOGETHER_SECONDS, DIRTY_SECONDS, MEASURE_SECONDS = 1.0, 3.0, 1.0, 4.0


def best(*actions: Callable[[], Any], runs: int = RUNS) -> list[tuple[float, Any]]:
    """The shortest time in seconds of each action, done in turns, and what it gave."""
    found: list[tuple[float, Any]] = [(float("inf"), None)] * len(actions)
    for _ in range(runs):
        for number, action in enumerate(actions):
            begun = time.perf_counter()
            answer = action()
            found[number] = min(found[number][0], time.perf_counter() - begun), answer
    return found


class Report:
    """The table that is printed."""

    def __init__(self, lake: Lake) -> None:
        title = f"Rules on {lake.people:,} people and {lake.events:,} events"
        self.table = Table("", "here", "by hand", "ratio", "limit", "", title=title)

    def line(
        self, name: str, here: float, *, limit: str, ok: bool, hand: float | None = None, ratio: float | None = None
    ) -> None:
        """One measurement; `ok`: it keeps its limit."""
        self.table.add_row(
            name,
            f"{here:.3f} s",
            "" if hand is None else f"{hand:.3f} s",
            "" if ratio is None else f"{ratio:.2f}",
            limit,
            "ok" if ok else "MISSED",
        )


def same_people(name: str, left: pa.Table, right: list[int]) -> None:
    """Raises SystemExit when two answers differ."""
    if sorted(left["person"].to_pylist()) != sorted(right):
        sys.exit(f"{name}: the answers differ ({left.num_rows} and {len(right)} people)")


def measure_questions(lake: Lake, report: Report, connection: "psycopg.Connection[Any] | None") -> None:
    """Each question here, by hand on the same files, and on PostgreSQL."""
    for name, rule, limit, sql in QUESTIONS:
        by_hand = sql(by_window)
        begun = time.perf_counter()
        lake.ids(rule, now=NOW - 1)
        first = time.perf_counter() - begun
        (here, ids), (hand, expected) = best(
            lambda rule=rule: lake.ids(rule), lambda by_hand=by_hand: lake.raw.sql(by_hand).to_arrow_table()
        )
        same_people(name, ids, expected["person"].to_pylist())
        ratio = here / hand
        report.line(f"{name} ({ids.num_rows:,})", here, hand=hand, ratio=ratio, limit=f"≤ {limit} ×", ok=ratio <= limit)
        report.line("  the first time, with nothing built before", first, limit="", ok=True)
        if connection is not None:
            asked = sql(without_ignore_nulls)
            ((there, rows),) = best(lambda asked=asked: connection.execute(asked.encode()).fetchall(), runs=2)
            same_people(f"{name}, PostgreSQL", ids, [row[0] for row in rows])
            ratio = there / here
            report.line(
                "  PostgreSQL", here, hand=there, ratio=ratio, limit=f"≥ {POSTGRES} × quicker", ok=ratio >= POSTGRES
            )


def measure_segments(lake: Lake, report: Report) -> None:
    """The size while building; many segments together; and those of a few people."""

    def size() -> pa.Table:
        """Built anew each time: somebody is changing the rule."""
        return lake.arrow(members_of(parse(ESTIMATE, CATALOGUE), lake.tables, now=NOW, zone="UTC").count().as_table())

    ((seconds, _),) = best(size)
    ok = seconds < ESTIMATE_SECONDS
    report.line("Size of a rule with six conditions", seconds, limit=f"< {ESTIMATE_SECONDS} s", ok=ok)

    rules = many_rules()
    alone = [best(lambda rule=rule: lake.ids(rule), runs=1)[0] for rule in rules]
    one_by_one = sum(seconds for seconds, _ in alone)

    def together(only: Any = None, now: int = NOW) -> pa.Table:
        trees = {f"s{number}": parse(rule, CATALOGUE) for number, rule in enumerate(rules)}
        return lake.ask(
            ("together", only is None, tuple(trees.items())),
            lambda at: compile_rules(trees, lake.tables, now=at, zone="UTC", only=only),
            now=now,
        )

    together(now=NOW - 1)
    ((seconds, columns),) = best(together)
    sizes = [pc.sum(columns[f"s{number}"]).as_py() for number in range(SEGMENTS)]
    if sizes != [ids.num_rows for _, ids in alone]:
        sys.exit("fifty segments: together they have other sizes than one by one")
    ratio = seconds / one_by_one
    report.line(
        f"{SEGMENTS} segments in one pass, of one by one", seconds, hand=one_by_one, ratio=ratio,
        limit=f"≤ {TOGETHER} and ≤ {TOGETHER_SECONDS} s", ok=ratio <= TOGETHER and seconds <= TOGETHER_SECONDS,
    )  # fmt: skip

    chosen = Random(1).sample(range(1, lake.people), min(DIRTY, lake.people // 10))
    lake.raw.register("dirty", pa.table({"person": pa.array(chosen, pa.int64())}))
    only = lake.backend.table("dirty")
    together(only, NOW - 1)
    ((seconds, found),) = best(lambda: together(only))
    kept = columns.filter(pc.is_in(columns["person"], pa.array(chosen, pa.int64())))
    if found.sort_by("person") != kept.sort_by("person"):
        sys.exit("some people: their segments differ from those of everybody")
    name = f"{len(chosen):,} people in {SEGMENTS} segments"
    report.line(name, seconds, limit=f"< {DIRTY_SECONDS} s", ok=seconds < DIRTY_SECONDS)


def measure_scores(lake: Lake, report: Report) -> None:
    """The measures that look at everything somebody did, for everybody."""
    for name in ("lifecycleStage", "engagementScore", "profileScore"):
        ((seconds, _),) = best(
            lambda name=name: lake.ask(("measure", name), lambda at: measured([name], lake.tables, at), now=NOW)
        )
        limit = f"≤ {MEASURE_SECONDS} s"
        report.line(f"{name} of everybody", seconds, limit=limit, ok=seconds <= MEASURE_SECONDS)


@contextmanager
def postgres(lake: Lake) -> "Iterator[psycopg.Connection[Any] | None]":
    """The same rows in a database of PostgreSQL that goes afterwards, with covering indexes; None without a server."""
    base = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    name = f"cdp_bench_{uuid.uuid4().hex[:12]}"
    try:
        server = psycopg.connect(base, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        Console().print(f"PostgreSQL is not measured: {error}")
        yield None
        return
    with server:
        server.execute(f"create database {name}".encode())
        try:
            with psycopg.connect(urlsplit(base)._replace(path=f"/{name}").geturl(), autocommit=True) as connection:
                _fill(connection, lake)
                yield connection
        finally:
            server.execute(f"drop database {name} with (force)".encode())


def _fill(connection: "psycopg.Connection[Any]", lake: Lake) -> None:
    tables = {
        "people": ("person bigint primary key", "person"),
        "moved": ("profile bigint primary key, person bigint not null", "profile, person"),
        "events": (
            "profile bigint not null, type text not null, ts bigint not null, p_category text, p_revenue float8",
            "profile, type, ts, p_category, p_revenue",
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, (columns, selected) in tables.items():
            path = Path(folder) / f"{name}.csv"
            lake.raw.execute(f"copy (select {selected} from {name}) to '{path}' (header false)")
            connection.execute(f"create table {name} ({columns})".encode())
            with connection.cursor().copy(f"copy {name} from stdin csv".encode()) as copy, path.open("rb") as file:
                while block := file.read(1 << 20):
                    copy.write(block)
    connection.execute(b"create index on events (type, profile, ts) include (p_category, p_revenue)")
    connection.execute(b"create index on events (type, ts) include (profile, p_category, p_revenue)")
    connection.execute(b"vacuum analyze")
    connection.execute(b"set work_mem = '256MB'")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a twentieth of the people and events")
    parser.add_argument("--no-postgres", action="store_true", help="leave PostgreSQL out")
    options = parser.parse_args()
    part = 20 if options.small else 1
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder), PEOPLE // part, EVENTS // part)
        report = Report(lake)
        measure_segments(lake, report)
        measure_scores(lake, report)
        if options.no_postgres:
            measure_questions(lake, report, None)
        else:
            with postgres(lake) as connection:
                measure_questions(lake, report, connection)
    Console(width=120).print(report.table)


if __name__ == "__main__":
    main()
