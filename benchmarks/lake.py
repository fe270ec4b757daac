"""The history's size and speed: `python benchmarks/lake.py`.

Messages of the demo shop go through the whole pipeline into PostgreSQL (BENCH_DATABASE_URL, default: the local one;
else SQLite), then into the lake. Sizes are of the events' table with its indexes and of the lake's live files. The
current state of people is measured on made-up ones, a twentieth of whom have a version newer than the compacted one.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
from processing import ROOT, empty_store
from rich.console import Console
from rich.table import Table

EVENTS = 100_000
PEOPLE = 1_000_000
_CHUNK = 2_500
_APPEND = 5_000
_SHARE = 0.1
_MEASURED = 7


def shop_messages(count: int) -> Iterator[list[bytes]]:
    """About `count` messages of the demo shop, in chunks."""
    from cdp.pipeline.demo.traffic import Shop

    shop = Shop(7, until=date(2026, 11, 1), days=720)
    chunk: list[bytes] = []
    sent = number = 0
    while sent < count:
        chunk += shop.messages(number)
        number += 1
        if len(chunk) >= _CHUNK:
            sent += len(chunk)
            yield chunk
            chunk = []


def measure(events: int, people: int) -> None:
    """Everything, in this process's installation; prints the table."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    store, stored, total = fill(events)
    table = Table(title=f"The lake: {stored:,} events of the demo shop from {store}, {people:,} people")
    for heading in ("measurement", "value", "limit"):
        table.add_column(heading, justify="left" if heading == "measurement" else "right")
    before, after = write_events(table, stored)
    ratio = after / total if store == "postgresql" else None
    table.add_row("bytes per event, operational store", f"{total / stored:,.0f}", "")
    table.add_row("bytes per event, lake as appended", f"{before / stored:,.0f}", "")
    shown = f"{after / stored:,.0f}" + (f" ({ratio:.3f} of PostgreSQL)" if ratio is not None else "")
    table.add_row("bytes per event, lake compacted", _mark(shown, ratio, _SHARE), f"{_SHARE} of PostgreSQL")
    append(table, Path(settings.DATA_DIR) / "append")
    current_people(table, Path(settings.DATA_DIR) / "people", people)
    Console(width=110).print(table)


def fill(events: int) -> tuple[str, int, int]:
    """Process the shop's messages; the store's name, its events, and the bytes of their table."""
    from django.db import connection

    from cdp.access.source import source_named
    from cdp.core.clock import now_us
    from cdp.pipeline.accept import accept
    from cdp.pipeline.process import process_inbox

    source = source_named("bench")
    for chunk in shop_messages(events):
        accept(chunk, source=source, received=now_us())
        process_inbox()
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from events_event")
        stored = int(cursor.fetchone()[0])
        if connection.vendor == "postgresql":
            cursor.execute("select pg_total_relation_size('events_event')")
        else:
            cursor.execute("select sum(pgsize) from dbstat where name like 'event%%'")
        return connection.vendor, stored, int(cursor.fetchone()[0])


def write_events(table: Table, stored: int) -> tuple[int, int]:
    """Export and compact; the bytes of the live files before and after."""
    from cdp.history.compact import compact_events
    from cdp.history.export import flush_events, flush_people
    from cdp.history.models import LakeState

    begin = time.perf_counter()
    flush_events()
    took = time.perf_counter() - begin
    table.add_row("export of events, decoding and all", f"{stored / took:,.0f} events/s", "")
    before = LakeState.objects.get(pk="events").bytes
    begin = time.perf_counter()
    versions = flush_people()
    table.add_row("export of people", f"{versions / (time.perf_counter() - begin):,.0f} people/s", "")
    begin = time.perf_counter()
    compact_events(everything=True)
    table.add_row("compaction of all events", f"{stored / (time.perf_counter() - begin):,.0f} events/s", "")
    return before, LakeState.objects.get(pk="events").bytes


def append(table: Table, folder: Path) -> None:
    """What one append of 5,000 rows costs."""
    from cdp.history.tables import open_table, store_id
    from cdp.lake.delta import EVENTS as KIND
    from cdp.lake.delta import LakeTable

    source = open_table(KIND, store=store_id())
    assert source is not None
    rows = source.dataset().head(_APPEND)
    rows = rows.set_column(rows.schema.get_field_index("month"), "month", [["2026-01"] * rows.num_rows])
    LakeTable.create(str(folder), KIND, source.schema, store="bench")
    took = []
    for number in range(1, _MEASURED + 1):
        target = LakeTable.open(str(folder), KIND, store="bench")
        assert target is not None
        begin = time.perf_counter()
        target.append(rows, number)
        took.append(time.perf_counter() - begin)
    table.add_row(f"append of {_APPEND:,} rows", f"{sorted(took)[_MEASURED // 2] * 1000:,.0f} ms", "")


def current_people(table: Table, folder: Path, count: int) -> None:
    """Asking the current state of everybody against asking a plain table of one row each."""
    import pyarrow as pa

    from cdp.lake.compaction import compact_people
    from cdp.lake.delta import PEOPLE as KIND
    from cdp.lake.delta import LakeTable
    from cdp.lake.duck import DuckDB
    from cdp.lake.engine import Snapshot
    from cdp.lake.moment import Moment, event_files, people_files
    from cdp.lake.schema import events_schema, people_schema

    engine = DuckDB(threads=os.cpu_count() or 1, memory_mb=2048, scratch=str(folder / "scratch"))
    LakeTable.create(str(folder), KIND, people_schema(), store="bench")

    def opened() -> LakeTable:
        found = LakeTable.open(str(folder), KIND, store="bench")
        assert found is not None
        return found

    for first in range(0, count, 100_000):
        opened().append(made_up(range(first, min(first + 100_000, count)), 1), 1)
    begin = time.perf_counter()
    compact_people(opened(), {}, engine, now=0)
    table.add_row(f"compaction of {count:,} people", f"{time.perf_counter() - begin:.1f} s", "")
    nobody = pa.schema([("segment", pa.string()), ("person", pa.int64())]).empty_table()
    none = pa.schema([("profile", pa.int64())]).empty_table()
    tail = people_schema().empty_table()

    def moment() -> Moment:
        return Moment(event_files(None), events_schema().empty_table(), none, *people_files(opened()), tail, nobody)

    def asked() -> float:
        with Snapshot(engine, moment) as taken:
            people = taken.tables.people
            pro = people.filter(people.text.get("plan") == "pro").agg(n=lambda some: some.count())
            took = []
            for _ in range(_MEASURED):
                begin = time.perf_counter()
                taken.run(pro)
                took.append(time.perf_counter() - begin)
            return sorted(took)[_MEASURED // 2]

    plain = asked()
    opened().append(made_up(range(0, count, 20), 2), 2)
    table.add_row("a trait of all people, all compacted", f"{plain * 1000:,.0f} ms", "")
    table.add_row("the same, 1/20 with a newer version", f"{asked() * 1000:,.0f} ms", "")


def made_up(numbers: range, version: int) -> "object":
    """One version each of the people with these numbers."""
    import pyarrow as pa

    from cdp.lake.person_rows import PersonRows

    rows = PersonRows({}, frozenset[str]().__contains__)
    for number in numbers:
        traits = {"plan": ("free", "pro")[number % 2], "country": "LT", "score": number % 100, "logins": number % 7}
        rows.add(number, version, version, fragments=[number], created=number, traits=traits)
    made = rows.table()
    return made.append_column("part", pa.array(["new"] * made.num_rows, pa.string()))


def _mark(text: str, value: float | None, limit: float) -> str:
    return text if value is None or value <= limit else f"[red]{text}[/red]"


def main() -> None:
    """Measure on PostgreSQL where it answers, else on SQLite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        measure(options.events, options.people)
        return
    sys.stdout.write(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    arguments = ["--in-process", "--events", str(options.events), "--people", str(options.people)]
    for store in ("postgres", "sqlite"):
        try:
            with empty_store(store) as environment:
                subprocess.run([sys.executable, __file__, *arguments], env=environment, cwd=ROOT, check=True)
            return
        except psycopg.OperationalError as error:
            sys.stdout.write(f"PostgreSQL is not measured: {str(error).splitlines()[0]}\n")


if __name__ == "__main__":
    main()
