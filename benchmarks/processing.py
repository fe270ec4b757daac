"""How fast one worker turns waiting messages into profiles: `python benchmarks/processing.py`.

Realistic traffic: 30 % identify calls, 1 % merges, popular people more often. The first half fills the store; the
second half is measured, as a store in use would behave: once with no rule of the gate, and once with rules, where
everybody has said something and every tenth has withdrawn what no message needs. Each store runs in a
process of its own, in an empty folder or a database that goes afterwards. PostgreSQL is measured where
BENCH_DATABASE_URL (default: the local one) answers. The load before is printed: on a busy machine the figures say
little.
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
GATE_LIMIT = 0.05
"""What the gate may add to the processor time of an event."""
_CHUNK = 2_500
_MOST = 32 * 1024
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
    gate: bool = False

    @property
    def cpu(self) -> float:
        """Microseconds of processor time for an event."""
        return self.cpu_share / self.second * 1e6


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


def measure(store: str, count: int, *, gate: bool) -> Measured:
    """Fill the inbox of this process's installation, then process it half by half; the second half with the `gate`."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection, transaction

    from cdp.access.source import source_named
    from cdp.core.clock import now_us
    from cdp.pipeline import check, lease, message, process, writer
    from cdp.pipeline.models import InboxMessage
    from cdp.profiles.models import Merge, Profile

    call_command("migrate", verbosity=0)
    source, messages = source_named("bench"), list(traffic(count, PEOPLE, 1))
    tail = message.tail_of(message.Envelope(msgspec.Raw(b"null")))
    begin = time.perf_counter()
    for first in range(0, count, _CHUNK):
        at = now_us()
        found = [
            check.checked(raw, source=source, received=at, max_bytes=_MOST) for raw in messages[first : first + _CHUNK]
        ]
        rows = [writer.kept(message.sealer(settings.KEYRING), one, source.id, at, tail) for one in found]
        with transaction.atomic():
            writer.append(lease.database(), rows)
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
        merged = Merge.objects.count()
        _set_gate(rules=gate)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("analyze")
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
        gate=gate,
    )


def _set_gate(*, rules: bool) -> None:
    """No rule of the gate; or one more, with people who have said something, a tenth of them no."""
    from cdp.consents.models import ConsentRecord, GateRule
    from cdp.profiles.models import Profile

    if not rules:
        GateRule.objects.all().delete()
        return
    GateRule.objects.create(purpose_id="PROFILING", names=["Quiz Finished"], action="redact")
    ConsentRecord.objects.bulk_create(
        ConsentRecord(profile_id=number, type=purpose, granted=number % 10 > 0, at=1, recorded_at=1)
        for number in Profile.objects.order_by("pk").values_list("pk", flat=True)
        for purpose in ("MARKETING_EMAIL", "PROFILING")
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
    parser.add_argument("--gate", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        found = measure(options.in_process, options.messages, gate=options.gate)
        sys.stdout.buffer.write(msgspec.json.encode(found))
        return
    console = Console()
    console.print(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    table = Table(title=f"Processing to profiles: {options.messages:,} messages, one worker, the second half measured")
    headings = ("store", "gate", "events/s", "limit", "ratio", "aim", "first half", "queries", "limit")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("store", "gate") else "right")
    for store in ("sqlite", "postgres"):
        try:
            open_, gated = (_measured(store, options.messages, console, gate=gate) for gate in (False, True))
        except psycopg.OperationalError as error:
            console.print(f"PostgreSQL is not measured: {str(error).splitlines()[0]}")
            continue
        for found in (open_, gated):
            table.add_row(
                store,
                "rules" if found.gate else "none",
                f"{found.second:,.0f}",
                f"{LIMIT:,}",
                f"{found.second / LIMIT:.2f}",
                f"{AIM:,}",
                f"{found.first:,.0f}",
                str(found.most_queries),
                str(MOST_QUERIES),
            )
            console.print(
                f"{store}: {found.merges:.1%} merges, {found.people:,} people; accepted {found.accepted:,.0f}/s; "
                f"the worker had a processor {found.cpu_share:.0%} of the time, {found.cpu:.0f} µs an event"
            )
        console.print(f"{store}: the gate adds {gated.cpu / open_.cpu - 1:+.1%} (limit {GATE_LIMIT:.0%})")
    console.print(table)


def _measured(store: str, messages: int, console: Console, *, gate: bool) -> Measured:
    with empty_store(store) as environment, console.status(f"{store} …"):
        command = [sys.executable, __file__, "--in-process", store, "--messages", str(messages)]
        if gate:
            command.append("--gate")
        done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Measured)


if __name__ == "__main__":
    main()
