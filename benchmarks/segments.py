"""Segments under load: `python benchmarks/segments.py`, or `python -m benchmarks segments`.

A pass over 2,500 people who changed against 50 segments; how soon people enter while 500 events a second come in;
a file of a million members with the memory it takes; and what it costs to write a million members.
`--small` makes it a hundredth, to see that it runs. Each store has an empty folder or a database that goes afterwards;
PostgreSQL is measured where BENCH_DATABASE_URL (default: the local one) answers. The load before is printed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
PASS_LIMIT, ENTRY_LIMIT, EXPORT_LIMIT = 1.0, 5.0, 10.0
RATE = 500
SEGMENTS = 50


def main() -> None:
    """Run in a process for each store."""
    options = _options()
    if options.store:
        _measure(options.store, small=options.small, seconds=options.seconds)
        return
    sys.stdout.write(f"load before: {os.getloadavg()[0]:.2f}\n")
    for store, environment in _stores():
        arguments = [sys.executable, "-W", "ignore", __file__, "--store", store, "--seconds", str(options.seconds)]
        with environment() as given:
            subprocess.run([*arguments, *(["--small"] if options.small else [])], env=given, check=True, cwd=ROOT)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help="a hundredth of the people")
    parser.add_argument("--seconds", type=int, default=30, help="how long events come in (default 30)")
    return parser.parse_args()


def _stores() -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "SQLite", _sqlite
    yield "PostgreSQL", _postgres


@contextmanager
def _sqlite() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="cdp-bench-") as folder:
        kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        yield kept | {"DATA_DIR": folder}


@contextmanager
def _postgres() -> Iterator[dict[str, str]]:
    import psycopg

    base = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    name = f"cdp_bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    try:
        with tempfile.TemporaryDirectory(prefix="cdp-bench-") as folder:
            yield {**os.environ, "DATA_DIR": folder, "DATABASE_URL": urlsplit(base)._replace(path=f"/{name}").geturl()}
    finally:
        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)".encode())


def _measure(store: str, *, small: bool, seconds: int) -> None:
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    people = 10_000 if small else 1_000_000
    sys.stdout.write(f"\n{store}\n")
    _passes(250 if small else 2_500)
    _entries(seconds)
    _export(people)


def _say(what: str, value: float, limit: float | None, unit: str = "s") -> None:
    beside = "" if limit is None else f"   limit {limit:g} {unit}   {'ok' if value <= limit else 'MISSED'}"
    sys.stdout.write(f"  {what:<58} {value:8.2f} {unit}{beside}\n")
    sys.stdout.flush()


def _message(kind: str, number: int, **fields: Any) -> bytes:
    return json.dumps({"type": kind, "messageId": uuid.uuid4().hex, "userId": f"user-{number}", **fields}).encode()


def _send(raw: list[bytes]) -> None:
    from cdp.access.source import source_named
    from cdp.core.clock import now_us
    from cdp.pipeline.accept import accept
    from cdp.pipeline.process import process_inbox

    for start in range(0, len(raw), 2_500):
        accept(raw[start : start + 2_500], source=source_named("bench"), received=now_us())
    process_inbox()


def _fifty() -> None:
    """Fifty rules: traits, counts, sums with windows, sequences, other segments."""
    from cdp.segments.definition import define
    from cdp.segments.models import Segment

    for number in range(SEGMENTS):
        rules: list[dict[str, Any]] = [
            [{"trait": "country", "operator": "=", "value": f"c{number % 20}"}],
            [{"event": "purchase", "operator": ">=", "value": number % 7 + 1}],
            [{"event": "purchase", "aggregate": "sum", "property": "revenue", "operator": ">", "value": number * 5,
              "within": f"{number % 60 + 1}d"}],
            [{"sequence": [{"event": "add_to_cart"}, {"event": "purchase", "after": "1d"}], "within": "7d"}],
            [{"trait": "country", "operator": "!=", "value": "c1"}, {"segment": "s-0"}],
        ][number % 5]  # fmt: skip
        define(Segment(), {"name": f"s {number}", "key": f"s-{number}", "rules": rules})


def _passes(count: int) -> None:
    """One pass over `count` people who all changed, against 50 segments; the median of five."""
    from cdp.history.export import flush
    from cdp.segments.follow import follow, follow_people

    _fifty()
    for part in range(4):
        _send(
            [
                _message(kind, part * count + number, **fields)
                for number in range(count)
                for kind, fields in (
                    ("identify", {"traits": {"country": f"c{number % 20}"}}),
                    ("track", {"event": "Product Added"}),
                    ("track", {"event": "Order Completed", "properties": {"revenue": number % 90}}),
                )
            ]
        )
    flush()
    follow()
    taken, busy = [], []
    for _ in range(5):
        _send([_message("track", n, event="Order Completed", properties={"revenue": 3}) for n in range(count)])
        begun, worked = time.perf_counter(), time.process_time()
        follow_people()
        taken.append(time.perf_counter() - begun)
        busy.append(time.process_time() - worked)
    _say("  CPU of such a pass, all threads, without the database's", sorted(busy)[2], None)
    _say(f"pass over {count:,} changed people × {SEGMENTS} segments", sorted(taken)[2], PASS_LIMIT)


def _entries(seconds: int) -> None:
    """p95 of the time from handing in an event to the person's entry, with `RATE` events a second beside it."""
    from cdp.core.clock import now_us
    from cdp.pipeline.process import process_inbox
    from cdp.segments.definition import define
    from cdp.segments.follow import follow
    from cdp.segments.models import Segment

    define(Segment(), {"name": "new", "key": "new", "rules": [{"event": "Arrived"}]})
    follow()
    stop = threading.Event()
    workers = [threading.Thread(target=work, args=(stop,)) for work in (_process, _follow)]
    for worker in workers:
        worker.start()
    sent: dict[str, int] = {}
    begun = time.monotonic()
    for tick in range(seconds * 10):
        raw = [_message("track", 1_000_000 + tick * 50 + n, event="Looked") for n in range(RATE // 10 - 1)]
        sent[f"user-new-{tick}"] = now_us()
        arrived = {"type": "track", "messageId": uuid.uuid4().hex, "userId": f"user-new-{tick}", "event": "Arrived"}
        _accept([*raw, json.dumps(arrived).encode()])
        time.sleep(max(0.0, begun + (tick + 1) / 10 - time.monotonic()))
    stop.set()
    for worker in workers:
        worker.join()
    process_inbox()
    follow()
    waits = sorted(_waits(sent))
    _say(f"entry, p95 of {len(waits)}, under {RATE} events/s", waits[int(len(waits) * 0.95)], ENTRY_LIMIT)
    _say("entry, median", waits[len(waits) // 2], None)


def _accept(raw: list[bytes]) -> None:
    from cdp.access.source import source_named
    from cdp.core.clock import now_us
    from cdp.pipeline.accept import accept

    accept(raw, source=source_named("bench"), received=now_us())


def _process(stop: threading.Event) -> None:
    """One thread of the worker: the inbox, at once."""
    from django.db import connection

    from cdp.pipeline.process import process_inbox

    while not stop.is_set():
        if not process_inbox():
            time.sleep(0.1)
    connection.close()


def _follow(stop: threading.Event) -> None:
    """Another: segments, every two seconds."""
    from django.db import connection

    from cdp.segments.follow import follow_people

    while not stop.wait(2):
        follow_people()
    connection.close()


def _waits(sent: dict[str, int]) -> Iterator[float]:
    from cdp.identities.lookup import find_person
    from cdp.segments.models import MembershipChange

    entered = dict(MembershipChange.objects.filter(segment__key="new").values_list("person_id", "at"))
    for name, at in sent.items():
        person = find_person("user_id", name)
        if person is not None:
            yield (entered[person.pk] - at) / 1e6


def _export(people: int) -> None:
    """A list of `people` members: writing it, and a file of it with the growth of this process's memory."""
    from django.db import connection

    from cdp.core.ids import uuid7
    from cdp.profiles.models import Profile
    from cdp.segments.definition import define
    from cdp.segments.export import Export
    from cdp.segments.generations import Cause
    from cdp.segments.members import member_pages
    from cdp.segments.membership import replace
    from cdp.segments.models import Segment

    for start in range(0, people, 20_000):
        Profile.objects.bulk_create(
            Profile(public_id=uuid7(), person_id=0, created_at=1, updated_at=1, first_seen=1, last_seen=1)
            for _ in range(min(20_000, people - start))
        )
    with connection.cursor() as cursor:
        cursor.execute("update profiles_profile set person_id = id where person_id = 0")
    segment = define(Segment(), {"name": "all", "key": "all", "type": "static"})
    ids = list(Profile.objects.order_by("id").values_list("id", flat=True))[-people:]
    begun = time.perf_counter()
    replace(segment, ids, cause=Cause.MANUAL)
    _say(f"writing a list of {people:,} and its members", time.perf_counter() - begun, None)
    segment.refresh_from_db()
    del ids
    for name in ("csv", "json"):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.perf_counter()
        written = sum(len(piece) for piece in Export(format=name).written(member_pages(segment)))
        _say(f"{name} of {segment.size:,} members ({written / 1e6:.0f} MB)", time.perf_counter() - begun, EXPORT_LIMIT)
        _say("  peak memory beyond what it was", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
             50, "MB")  # fmt: skip


if __name__ == "__main__":
    main()
