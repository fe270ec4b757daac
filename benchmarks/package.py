"""What an access package costs: `python benchmarks/package.py`.

One person of three profiles with a million events, half of which only the history has any more. Each store runs in a
process of its own, in an empty folder or a database that goes afterwards. Memory is what the process has grown by.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
import uuid

import msgspec
import psycopg
from processing import ROOT, empty_store
from rich.console import Console
from rich.table import Table as Shown

EVENTS = 1_000_000
LIMIT_SECONDS, LIMIT_MB = 600.0, 500.0
_CHUNK = 20_000


class Measured(msgspec.Struct):
    """Seconds, MB of memory, MB of the zip, records a second; and seconds until it was read again."""

    store: str
    seconds: float
    memory: float
    zipped: float
    rate: float
    fetched: float


def measure(store: str, events: int) -> Measured:
    """Fill, make a package, read it."""
    import django

    django.setup()
    from django.core.management import call_command

    from cdp.core.clock import now_us
    from cdp.history.export import flush
    from cdp.history.purge import purge_hot_events
    from cdp.privacy.package import make_package, read_package

    call_command("migrate", verbosity=0)
    person = _fill(events)
    flush()
    purge_hot_events(now_us())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    package, _token = make_package(person, request=None, actor="bench", why="")
    seconds = time.perf_counter() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    begin = time.perf_counter()
    size = sum(map(len, read_package(package, actor="bench", why="")))
    assert size == package.size
    return Measured(store, seconds, memory / 1024, size / 1e6, events / seconds, time.perf_counter() - begin)


def _fill(events: int):  # type: ignore[no-untyped-def]  # models cannot be imported yet
    from django.db import transaction

    from cdp.core.bulk import Table
    from cdp.core.clock import DAY, now_us
    from cdp.core.ids import uuid7
    from cdp.events.body import EventBody, seal_body
    from cdp.pipeline.lease import database
    from cdp.profiles.models import Profile

    now = now_us()
    times = {"created_at": now, "updated_at": now, "first_seen": now, "last_seen": now}
    first = Profile.objects.create(public_id=uuid7(), person_id=0, **times)
    Profile.objects.filter(pk=first.pk).update(person_id=first.pk)
    numbers = [first.pk, *(Profile.objects.create(person_id=first.pk, **times).pk for _ in range(2))]
    table = Table(
        "events_event",
        {
            "digest": "bytea", "profile_id": "bigint", "call": "smallint", "type": "text", "name": "text",
            "ts": "bigint", "received": "bigint", "decision": "smallint", "body": "bytea",
        },
    )  # fmt: skip
    step = 360 * DAY // events  # from now back for about a year: the older half is purged
    for start in range(0, events, _CHUNK):
        rows = []
        for n in range(start, min(start + _CHUNK, events)):
            said = {"path": f"/products/{n % 977}", "price": n % 100 / 2, "tags": ["a", "b"]}
            body = seal_body(EventBody(f"m{n}", said, {"locale": "lt-LT", "page": {"path": "/"}}, []))
            at = now - n * step
            rows.append((uuid.uuid4().bytes, numbers[n % 3], 1, "CUSTOM", "Product Viewed", at, at, 1, body))
        with transaction.atomic():
            database().insert(table, rows)
    return Profile.objects.get(pk=first.pk)


def main() -> None:
    """Measure both stores and print them beside the limits; exit status 1 when one is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--in-process", choices=["sqlite", "postgres"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        sys.stdout.buffer.write(msgspec.json.encode(measure(options.in_process, options.events)))
        return
    console = Console()
    console.print(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    table = Shown(title=f"An access package with {options.events:,} events, half of them in the history alone")
    for heading in ("", "limit", "sqlite", "ratio", "postgres", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    results = []
    for store in ("sqlite", "postgres"):
        try:
            with empty_store(store) as environment, console.status(f"{store} …"):
                command = [sys.executable, __file__, "--in-process", store, "--events", str(options.events)]
                done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        except psycopg.OperationalError as error:
            console.print(f"PostgreSQL is not measured: {str(error).splitlines()[0]}")
            continue
        results.append(msgspec.json.decode(done.stdout, type=Measured))
    kept = True
    for title, name, limit in (
        ("made, s", "seconds", LIMIT_SECONDS * max(options.events / EVENTS, 0.1)),
        ("memory, MB", "memory", LIMIT_MB),
        ("events/s", "rate", None),
        ("the zip, MB", "zipped", None),
        ("read again, s", "fetched", None),
    ):
        cells = []
        for result in results:
            value: float = getattr(result, name)
            ratio = None if limit is None else value / limit
            kept = kept and (ratio is None or ratio <= 1)
            cells += [f"{value:,.1f}", "" if ratio is None else f"{ratio:.2f}"]
        table.add_row(title, "" if limit is None else f"{limit:g}", *cells)
    console.print(table)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
