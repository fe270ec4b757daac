"""How fast the consents of people are known among a million: `python benchmarks/consents.py`.

The store is filled by SQL: profiles (every tenth merged into the one before it), three statements each. What is
measured is the state of 1,000 people at once, chosen anew for every call, and the permission of 1,000 for one purpose.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

from processing import empty_store
from rich.console import Console
from rich.table import Table

PROFILES, PEOPLE, CALLS, WARMED = 1_000_000, 1_000, 60, 5
LIMIT_MS = 50.0

_FILL = (
    (
        "profiles",
        """insert into profiles_profile (id, public_id, person_id, created_at, updated_at, first_seen, last_seen,
             event_count, purchase_count, revenue)
           select n, md5('p' || n)::uuid, case when n %% 10 = 0 then n - 1 else n end, n, n, n, n, 0, 0, '{}'
           from generate_series(1, %(profiles)s) n""",
    ),
    (
        "merges",
        """insert into profiles_merge
             (public_id, target_id, source_id, cause, strategy, active, created_at, fence, actor)
           select md5('m' || n)::uuid, n - 1, n, 'inference', 'rule', true, %(profiles)s + n, 0, ''
           from generate_series(10, %(profiles)s, 10) n""",
    ),
    (
        "statements",
        """insert into consents_consentrecord (public_id, profile_id, type, granted, at, recorded_at, source, cause)
           select md5('c' || k.type || n)::uuid, n, k.type, (n + k.number) %% 3 > 0, n, n, 'form', 'statement'
           from (values (1, 'MARKETING_EMAIL'), (2, 'ANALYTICS_TRACKING'), (3, 'PROFILING')) k(number, type),
                generate_series(1, %(profiles)s) n""",
    ),
)


def fill(profiles: int, console: Console) -> None:
    """Load the store of this process."""
    from django.db import connection

    with connection.cursor() as cursor:
        for what, sql in _FILL:
            begin = time.perf_counter()
            cursor.execute(sql, {"profiles": profiles})
            console.print(f"{what}: {cursor.rowcount:,} rows in {time.perf_counter() - begin:.1f} s")
        cursor.execute("analyze")


def timed(call: Callable[[list[list[int]]], Any], profiles: int) -> tuple[float, float, int]:
    """Median and 95th percentile of a call in ms, and the queries of one call."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    random, taken = Random(1), []
    for _ in range(CALLS + WARMED):
        first = random.sample(range(1, profiles - 9, 10), min(PEOPLE, profiles // 10) // 2)
        people = [[n + 8, n + 9] for n in first] + [[n] for n in first]
        begin = time.perf_counter()
        call(people)
        taken.append((time.perf_counter() - begin) * 1000)
    with CaptureQueriesContext(connection) as seen:
        call(people)
    taken = sorted(taken[WARMED:])
    return statistics.median(taken), taken[int(len(taken) * 0.95)], len(seen)


def measure(profiles: int, console: Console) -> bool:
    """Fill, measure and print; whether the limits are kept."""
    import django

    django.setup()
    from django.core.management import call_command

    from cdp.consents.permission import permitted
    from cdp.consents.state import consents_by_person
    from cdp.core.clock import now_us

    call_command("migrate", verbosity=0)
    fill(profiles, console)
    now = now_us()
    rows = [
        ("state of every purpose", timed(lambda people: consents_by_person(people, now=now), profiles)),
        ("permission for one", timed(lambda people: permitted(people, "MARKETING_EMAIL", now=now), profiles)),
    ]
    table = Table(title=f"{PEOPLE:,} people of {profiles:,} profiles")
    for name in ("call", "p50 ms", "p95 ms", "limit ms", "queries"):
        table.add_column(name, justify="left" if name == "call" else "right")
    for name, (p50, p95, queries) in rows:
        table.add_row(name, f"{p50:.1f}", f"{p95:.1f}", f"{LIMIT_MS:.0f}", str(queries))
    console.print(table)
    return all(p95 < LIMIT_MS and queries == 1 for _, (_, p95, queries) in rows)


def main() -> None:
    """Run in an empty database that goes afterwards; exit status 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", type=int, default=PROFILES)
    options = parser.parse_args()
    console = Console()
    console.print(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with empty_store("postgres") as environment:
        os.environ.update(environment)
        sys.path.insert(0, environment["PYTHONPATH"])
        kept = measure(options.profiles, console)
        from django.db import connection

        connection.close()
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
