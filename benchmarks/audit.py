"""What the audit costs: `python benchmarks/audit.py`.

An entry for a read of one person and one for a page of 50, each durable before the next, by one caller; and by eight
at once, as many as the web process has threads: they share the wait for the disk. Then the sealer, the verification of
everything, finding the entries about one person, and erasing them. Each store runs in a process of its own, in an
empty folder or a database that goes afterwards.
"""

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
from processing import ROOT, empty_store
from rich.console import Console
from rich.table import Table

ROWS = 200_000
READS = 2_000
LIMIT_MS, LIMIT_ROWS = 0.5, 50_000


class Measured(msgspec.Struct):
    """Milliseconds an entry (`together`: the time of the run by the entries of eight callers), rows a second."""

    store: str
    one: float
    page: float
    together: float
    cpu: float
    sealed: float
    verified: float
    found: float
    forgotten: float
    idle: float


def measure(store: str, rows: int) -> Measured:
    """Write, seal, verify, search and erase in this process's installation."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from cdp.access.audit import record_read
    from cdp.access.audit_forget import forget_objects
    from cdp.access.audit_seal import seal
    from cdp.access.audit_verify import verify
    from cdp.access.models import AuditEntry
    from cdp.access.rights import Rights

    call_command("migrate", verbosity=0)
    rights = Rights(True, frozenset({"read"}), "key:1")
    people = [uuid.uuid4() for _ in range(5000)]
    request: Any = type("Request", (), {"headers": {"X-Request-Id": "r" * 32}, "META": {"REMOTE_ADDR": "203.0.113.7"}})

    def read(first: int, count: int) -> None:
        about = people[first % 4000 : first % 4000 + count]
        record_read(rights, object_type="profile", object_ids=about, fields=["email", "name"], request=request)

    def each(count: int) -> float:
        taken = []
        for n in range(READS):
            begin = time.perf_counter()
            read(n, count)
            taken.append((time.perf_counter() - begin) * 1000)
        return statistics.fmean(taken)

    for n in range(100):
        read(n, 1)
    cpu = time.process_time()
    one = each(1)
    cpu = (time.process_time() - cpu) * 1000 / READS
    page = each(50)
    together = _together(read)
    begin, sealed = time.perf_counter(), seal()
    sealed_rate = sealed / (time.perf_counter() - begin)
    _fill(rows)
    seal()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("vacuum analyze access_auditentry")
    begin = time.perf_counter()
    result = verify()
    verified = result.rows / (time.perf_counter() - begin)
    assert (result.problem, result.rows >= rows) == ("", True)
    begin = time.perf_counter()
    assert len(AuditEntry.objects.about(str(people[77])).values_list("pk", flat=True)) > 0
    found = (time.perf_counter() - begin) * 1000
    begin = time.perf_counter()
    forget_objects([people[77]])
    forgotten = (time.perf_counter() - begin) * 1000
    assert verify().problem == ""
    cpu_idle = time.process_time()
    for _ in range(200):
        seal()
    idle = (time.process_time() - cpu_idle) * 1000 / 200
    return Measured(store, one, page, together, cpu, sealed_rate, verified, found, forgotten, idle)


def _together(read: Callable[[int, int], None]) -> float:
    from django.db import connection

    def work() -> None:
        try:
            for n in range(READS // 8):
                read(n, 1)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - begin) * 1000 / READS


def _fill(rows: int) -> None:
    """Entries as they are written, many in a transaction."""
    from django.db import transaction

    from cdp.access.audit import record_change

    for first in range(0, rows, 5000):
        with transaction.atomic():
            for n in range(first, min(first + 5000, rows)):
                record_change(
                    f"user:{n % 7}",
                    action="read",
                    object_type="profile",
                    object_ids=[uuid.UUID(int=n * 31 + k) for k in range(1 + n % 3)],
                    fields=["email", "events", "firstName"],
                )


def main() -> None:
    """Measure both stores and print them beside the limits; exit status 1 when one is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--in-process", choices=["sqlite", "postgres"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        sys.stdout.buffer.write(msgspec.json.encode(measure(options.in_process, options.rows)))
        return
    console = Console()
    console.print(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    table = Table(title=f"The audit, with {options.rows:,} entries")
    columns = ("", "limit", "sqlite", "ratio", "postgres", "ratio")
    for heading in columns:
        table.add_column(heading, justify="right" if heading else "left")
    results = []
    for store in ("sqlite", "postgres"):
        try:
            with empty_store(store) as environment, console.status(f"{store} …"):
                command = [sys.executable, __file__, "--in-process", store, "--rows", str(options.rows)]
                done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        except psycopg.OperationalError as error:
            console.print(f"PostgreSQL is not measured: {str(error).splitlines()[0]}")
            continue
        results.append(msgspec.json.decode(done.stdout, type=Measured))
    kept = True
    for title, name, limit in (
        ("a read of one person, ms", "one", None),
        ("… by eight at once, ms amortised", "together", LIMIT_MS),
        ("… processor ms", "cpu", None),
        ("a page of 50 people, ms", "page", None),
        ("sealed, rows/s", "sealed", None),
        ("verified, rows/s", "verified", LIMIT_ROWS),
        ("entries about one person, ms", "found", None),
        ("one person erased, ms", "forgotten", None),
        ("a look of the sealer, processor ms", "idle", None),
    ):
        cells = []
        for result in results:
            value: float = getattr(result, name)
            ratio = None if limit is None else value / limit if name == "together" else limit / value
            kept = kept and (ratio is None or ratio <= 1)
            cells += [f"{value:,.0f}" if value >= 100 else f"{value:.3f}", "" if ratio is None else f"{ratio:.2f}"]
        table.add_row(title, "" if limit is None else f"{limit:g}", *cells)
    console.print(table)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
