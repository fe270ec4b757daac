"""How fast one worker turns waiting messages into profiles: `python benchmarks/processing.py`.

Realistic traffic: 30 % identify calls, 1 % merges, popular people more often. The first half fills the store; the
second half is measured, as a store that is in use would behave. Each store runs in a process of its own, in an empty
folder or a database that goes afterwards. PostgreSQL is measured where BENCH_DATABASE_URL (default: the local one)
answers. The load before is printed: on a busy machine the figures say little.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
MESSAGES = 60_000
PEOPLE = 8_000
LIMIT, AIM = 6_000, 10_000
MOST_QUERIES = 25
_CHUNK = 2_500
_BEGIN = 1_790_000_000


class Measured(msgspec.Struct):
    """What one store did. Rates are messages a second; `merges` is a share of the measured messages."""

    store: str
    accepted: float
    first: float
    second: float
    cpu_share: float
    most_queries: int
    merges: float
    people: int


def traffic(count: int, people: int, seed: int) -> Iterator[bytes]:
    """`count` messages of `people` people: 30 % identify, 30 % track, 40 % anonymous pages; 3 % on a new device."""
    random = Random(seed)
    devices: dict[int, str] = {}
    context = {
        "ip": "203.0.113.7",
        "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
        "page": {"url": "https://shop.example/p/1", "path": "/p/1", "title": "A"},
        "library": {"name": "analytics.js", "version": "1"},
        "locale": "de-DE",
    }
    for n in range(count):
        person = int(people * random.random() ** 2)
        device = devices.setdefault(person, f"an-{person}-0")
        if random.random() < 0.03:
            device = devices[person] = f"an-{person}-{n}"
        yield msgspec.json.encode(
            {
                **_call(n, person, device, random),
                "messageId": str(uuid.UUID(int=random.getrandbits(128))),
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(_BEGIN + n // 50)),
                "context": context,
            }
        )


def _call(n: int, person: int, device: str, random: Random) -> dict[str, Any]:
    chance = random.random()
    if chance < 0.3:
        traits = {
            "email": f"User{person}@Example.com",
            "firstName": "Ada",
            "lastName": f"L{person}",
            "plan": random.choice(["free", "pro"]),
            "city": "Vilnius",
            "logins": n % 50,
        }
        return {"type": "identify", "userId": f"u-{person}", "anonymousId": device, "traits": traits}
    if chance < 0.6:
        properties = {"product_id": f"p-{n % 900}", "price": 19.99, "currency": "EUR", "category": "Books"}
        return {
            "type": "track",
            "userId": f"u-{person}",
            "anonymousId": device,
            "event": "Product Viewed",
            "properties": properties,
        }
    properties = {"path": "/p/1", "title": "A page", "referrer": "https://google.com"}
    return {"type": "page", "anonymousId": device, "properties": properties}


def measure(store: str, count: int) -> Measured:
    """Fill the inbox of this process's installation, then process it half by half."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from cdp.access.source import source_named
    from cdp.core.clock import now_us
    from cdp.pipeline import accept, lease, process
    from cdp.pipeline.models import InboxMessage
    from cdp.profiles.models import Merge, Profile

    call_command("migrate", verbosity=0)
    source, messages = source_named("bench"), list(traffic(count, PEOPLE, 1))
    begin = time.perf_counter()
    for first in range(0, count, _CHUNK):
        accept.accept(messages[first : first + _CHUNK], source=source, received=now_us())
    accepted = count / (time.perf_counter() - begin)
    queries: list[int] = []

    def work(goal: int) -> float:
        """Messages a second until `goal` are left."""
        start, left = time.perf_counter(), InboxMessage.objects.count()
        todo = left - goal
        while left > goal:
            before = len(counted)
            orm.clear()
            left -= process.process_batch()
            queries.append(sum(db.queries for db in counted[before:]) + len(orm))
        return todo / (time.perf_counter() - start)

    counted: list[Any] = []
    orm: list[int] = []
    original = lease.database

    def counting() -> Any:
        counted.append(original())
        return counted[-1]

    def noted(execute: Any, *call: Any) -> Any:
        orm.append(1)
        return execute(*call)

    vars(process)["database"] = counting
    with connection.execute_wrapper(noted):
        first_half = work(count // 2)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("analyze")
        merged = Merge.objects.count()
        queries.clear()
        cpu, begin, goal = time.process_time(), time.perf_counter(), InboxMessage.objects.count()
        second_half = work(0)
    return Measured(
        store=store,
        accepted=accepted,
        first=first_half,
        second=second_half,
        cpu_share=(time.process_time() - cpu) / (time.perf_counter() - begin),
        most_queries=max(queries),
        merges=(Merge.objects.count() - merged) / goal,
        people=Profile.objects.values("person_id").distinct().count(),
    )


@contextmanager
def empty_store(store: str) -> Iterator[dict[str, str]]:
    """The environment of an installation that has nothing in it, until it goes."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    environment |= {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory(prefix="cdp-bench-") as folder:
        environment["DATA_DIR"] = folder
        if store == "sqlite":
            yield environment
            return
        base = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
        name = f"cdp_bench_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(base, autocommit=True, connect_timeout=3) as connection:
            connection.execute(f"create database {name}".encode())
            try:
                yield environment | {"DATABASE_URL": urlsplit(base)._replace(path=f"/{name}").geturl()}
            finally:
                connection.execute(f"drop database {name} with (force)".encode())


def main() -> None:
    """Measure both stores and print them beside the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--in-process", choices=["sqlite", "postgres"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        sys.stdout.buffer.write(msgspec.json.encode(measure(options.in_process, options.messages)))
        return
    console = Console()
    console.print(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    table = Table(title=f"Processing to profiles: {options.messages:,} messages, one worker, the second half measured")
    headings = ("store", "events/s", "limit", "ratio", "aim", "first half", "queries", "limit")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "store" else "right")
    for store in ("sqlite", "postgres"):
        try:
            with empty_store(store) as environment, console.status(f"{store} …"):
                command = [sys.executable, __file__, "--in-process", store, "--messages", str(options.messages)]
                done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        except psycopg.OperationalError as error:
            console.print(f"PostgreSQL is not measured: {str(error).splitlines()[0]}")
            continue
        found = msgspec.json.decode(done.stdout, type=Measured)
        table.add_row(
            store,
            f"{found.second:,.0f}",
            f"{LIMIT:,}",
            f"{found.second / LIMIT:.2f}",
            f"{AIM:,}",
            f"{found.first:,.0f}",
            str(found.most_queries),
            str(MOST_QUERIES),
        )
        share = f"{found.cpu_share:.0%} of the time, {found.cpu_share / found.second * 1e6:.0f} µs an event"
        console.print(
            f"{store}: {found.merges:.1%} merges, {found.people:,} people; accepted {found.accepted:,.0f}/s; "
            f"the worker had a processor {share}"
        )
    console.print(table)


if __name__ == "__main__":
    main()
