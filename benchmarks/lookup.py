"""How fast a customer is looked up: from the cache, in our own store when the CDP fails, and how rarely it is asked.

The CDP is another process that answers after 30 ms. Look-ups are made by eight threads, as in a web process, of 5,000
customers who are all in our own store too; who is asked for follows Zipf's law with exponent 1.1. Look-ups write their
log and the rest of what they leave to do as they do in life.
"""

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from random import Random

import msgspec
import psycopg
from processing import ROOT, empty_store
from rich.console import Console
from rich.table import Table

CUSTOMERS, LOOKUPS, EXPONENT, THREADS = 5_000, 10_000, 1.1, 8
AT_ONCE, AT_ONCE_FAILING = 100, 20
"""Who falls back needs a connection to the store, and PostgreSQL has not a hundred to spare."""
WARM_UP = 30_000
UPSTREAM_MS = 30
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/13")


class Measured(msgspec.Struct):
    """Milliseconds, counts and shares of one store."""

    cached_p50: float
    cached_p95: float
    fallback_p50: float
    fallback_p95: float
    calls_at_once: int
    calls_at_once_failing: int
    cold_hits: float
    warm_hits: float


LIMITS: tuple[tuple[str, str, float, bool], ...] = (
    ("cached_p95", "cached look-up, p95 ms", 10.0, True),
    ("fallback_p95", "fallback once the failure is known, p95 ms", 50.0, True),
    ("calls_at_once", f"calls for {AT_ONCE} simultaneous look-ups", 1, True),
    ("calls_at_once_failing", f"calls for {AT_ONCE_FAILING} while the CDP fails", 1, True),
    ("cold_hits", f"hit rate of {LOOKUPS:,} look-ups, cold", 0.60, False),
    ("warm_hits", f"hit rate of {LOOKUPS:,} more after {WARM_UP:,}", 0.95, False),
)


def main() -> None:
    """Measure both stores and print them beside the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-process", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        sys.stdout.buffer.write(msgspec.json.encode(measure(options.in_process)))
        sys.stdout.flush()
        os._exit(0)
    console = Console()
    console.print(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    found = {}
    for store in ("sqlite", "postgres"):
        try:
            with empty_store(store) as environment, console.status(f"{store} …"):
                found["SQLite" if store == "sqlite" else "PostgreSQL, Redis"] = _measured(store, environment)
        except psycopg.OperationalError as error:
            console.print(f"PostgreSQL is not measured: {str(error).splitlines()[0]}")
    print_table(found, console)


def _measured(store: str, environment: dict[str, str]) -> Measured:
    folder = environment["DATA_DIR"]
    command = [sys.executable, str(Path(__file__).with_name("_upstream.py")), str(UPSTREAM_MS)]
    upstream = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert upstream.stdout is not None
        port = upstream.stdout.readline().strip()
        redis = {"REDIS_URL": REDIS_URL} if store == "postgres" else {}
        exacaster = {
            "EXACASTER_API_URL": f"http://127.0.0.1:{port}/v1",
            "EXACASTER_WORKSPACE_ID": "w",
            "EXACASTER_RESOURCE_ID": "r",
            "EXACASTER_BEARER_TOKEN": "t",
            "OUTBOUND_ALLOW": "127.0.0.0/8",
        }
        done = subprocess.run(
            [sys.executable, __file__, "--in-process", port],
            env={**environment, **exacaster, **redis}, cwd=ROOT, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
    finally:
        upstream.kill()
        upstream.wait()
    return msgspec.json.decode(done.stdout, type=Measured)


def measure(port: int) -> Measured:
    """Measure in this process, whose store is empty and whose environment is complete."""
    import django

    django.setup()
    from django.core.management import call_command

    from integrations.environment import connect_from_environment

    call_command("migrate", verbosity=0)
    _fill()
    connect_from_environment()
    down = Path(os.environ["DATA_DIR"]) / "down"
    zipf = _Zipf(Random(1))
    cold_hits = _hits(zipf, LOOKUPS)
    _hits(zipf, WARM_UP)
    warm_hits = _hits(zipf, LOOKUPS)
    cached = _cached(zipf)
    at_once = _calls_at_once(port, "only-once", AT_ONCE)
    down.touch()
    failing = _calls_at_once(port, "only-once-failing", AT_ONCE_FAILING)
    fallback = _fallback()
    return Measured(
        statistics.median(cached), _p95(cached), statistics.median(fallback), _p95(fallback), at_once, failing,
        cold_hits, warm_hits,
    )  # fmt: skip


class _Zipf:
    """Customers by rank, the first the most frequent."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._weights = list(accumulate(1 / rank**EXPONENT for rank in range(1, CUSTOMERS + 1)))
        self._names = [f"customer-{rank}" for rank in range(1, CUSTOMERS + 1)]

    def take(self, count: int) -> list[str]:
        return self._random.choices(self._names, cum_weights=self._weights, k=count)


def _fill() -> None:
    """Every customer in our own store, by the way of every message."""
    from cdp.access.source import source_named
    from cdp.core.clock import now_us
    from cdp.pipeline.accept import accept
    from cdp.pipeline.process import process_inbox

    source = source_named("crm")
    messages = [
        msgspec.json.encode(
            {
                "type": "identify",
                "userId": f"customer-{n}",
                "messageId": f"m-{n}",
                "traits": {"email": f"c{n}@example.com", "plan": "pro", "current_phone": "Nokia", "has_hbo": 1},
            }
        )
        for n in range(1, CUSTOMERS + 1)
    ]
    for start in range(0, len(messages), 1000):
        accept(messages[start : start + 1000], source=source, received=now_us())
    process_inbox()


def _hits(zipf: _Zipf, count: int) -> float:
    """The share of `count` look-ups that needed no call of their own."""
    from integrations.lookup import look_up

    with ThreadPoolExecutor(THREADS) as threads:
        return sum(answer.cached for answer in threads.map(look_up, zipf.take(count))) / count


def _cached(zipf: _Zipf) -> list[float]:
    """Milliseconds of look-ups that the cache answered, while seven other threads look up too."""
    from integrations.lookup import look_up

    def ask(customer: str) -> tuple[float, bool]:
        start = time.perf_counter()
        answer = look_up(customer)
        return (time.perf_counter() - start) * 1000, answer.cached

    with ThreadPoolExecutor(THREADS) as threads:
        return [ms for ms, cached in threads.map(ask, zipf.take(LOOKUPS)) if cached]


def _calls_at_once(port: int, customer: str, threads: int) -> int:
    """How often the CDP is asked when so many threads ask for the same customer."""
    from integrations.lookup import look_up

    def count() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=10) as answer:
            return int(answer.read())

    ready = threading.Barrier(threads)

    def ask(_: int) -> None:
        ready.wait(120)
        look_up(customer)

    before = count()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, range(threads)))
    return count() - before


def _fallback() -> list[float]:
    """Milliseconds from the known failure to the answer: look-ups while the circuit is open, none of them cached."""
    from integrations.flight import FAILURE_SECONDS
    from integrations.lookup import look_up

    while look_up(f"nobody-{time.time_ns()}").fallback_reason != "circuit_open":
        time.sleep(FAILURE_SECONDS / 50)
    random = Random(2)
    missed = [f"customer-{random.randrange(1, CUSTOMERS + 1)}" for _ in range(400)]
    _forget_answers()
    times = []
    for customer in missed:
        start = time.perf_counter()
        answer = look_up(customer)
        times.append((time.perf_counter() - start) * 1000)
        if not answer.found or answer.source != "store" or answer.fallback_reason != "circuit_open":
            raise RuntimeError(f"This was no fallback: {answer.source}, {answer.fallback_reason}.")
    return times


def _forget_answers() -> None:
    """Change the configuration, which no kept answer outlives; the circuit stays open."""
    from integrations.afterwards import finish
    from integrations.connection import forget_connection
    from integrations.models import Integration

    finish()
    Integration.objects.update(config={"resource_id": "another"})
    forget_connection()


def _p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def print_table(found: dict[str, Measured], console: Console) -> None:
    """One row for each limit, one column for each store."""
    table = Table("what", *found, "limit", title=f"Looking customers up; the CDP answers after {UPSTREAM_MS} ms")
    for name, text, limit, most in LIMITS:
        cells = []
        for measured in found.values():
            value = getattr(measured, name)
            good = value <= limit if most else value >= limit
            cells.append(f"{_shown(name, value)} {'ok' if good else 'MISSED'}")
        table.add_row(text, *cells, f"{'≤' if most else '≥'} {_shown(name, limit)}")
    console.print(table)
    for store, measured in found.items():
        console.print(
            f"{store}: medians {measured.cached_p50:.3f} ms cached, {measured.fallback_p50:.2f} ms in our own store."
        )


def _shown(name: str, value: float) -> str:
    return f"{value:.1%}" if name.endswith("hits") else f"{value:.0f}" if name.startswith("calls") else f"{value:.2f}"


if __name__ == "__main__":
    main()
