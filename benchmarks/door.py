"""How much the door costs beside the least that could be done: `python benchmarks/door.py`.

Single events: requests a second of the whole web process against a bare ASGI app that only inserts the same bytes with
the same group commit, at 1, 8 and 64 connections; every answer comes after the durable write. Batches of 100: accepted
events a second against a bare bulk insert of rows as large into a table without an index. Then the door again while a
worker processes what waits. Both servers run at once and take turns in short rounds, so that a busy machine is equally
unfair to both. The load generator is a process of its own on the same processors.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import msgspec
import psycopg
from _load import Load
from processing import empty_store
from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parent
CONNECTIONS = (1, 8, 64)
ROUNDS = 3
SECONDS = 0.7
BATCH = 100
SINGLE_LIMIT, BATCH_LIMIT, BUSY_LIMIT = 0.6, 0.5, 3.0
KEY = "benchmark-write-key-0123456789"
_START_SECONDS = 60


class _Pair(msgspec.Struct):
    """The door's figure beside the other's."""

    door: float
    other: float

    @property
    def ratio(self) -> float:
        return self.door / self.other


def main() -> None:
    """Measure every store that can be reached and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each of the rounds")
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"])
    options = parser.parse_args()
    console = Console()
    console.print(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    table = Table(title="The door beside the least that could be done; ✗: limit missed")
    for heading in ("what", "door", "beside", "ratio", "limit", "p50/p99 ms"):
        table.add_column(heading, justify="left" if heading == "what" else "right", no_wrap=True)
    for store in options.stores:
        try:
            with console.status(f"{store} …"):
                _measure(store, options.seconds, table)
        except psycopg.OperationalError as error:
            console.print(f"PostgreSQL is not measured: {str(error).splitlines()[0]}")
    console.print(table)


def _measure(store: str, seconds: float, table: Table) -> None:
    with ExitStack() as stack:
        environment = stack.enter_context(empty_store(store))
        _manage(environment, "migrate", "--verbosity", "0")
        _manage(environment, "create_source", "bench", "--write-key", KEY)
        bare = stack.enter_context(_server(environment, [str(FOLDER / "_bare.py"), "serve"]))
        door = stack.enter_context(_server(environment, ["-m", "config.web"]))
        for port in (bare, door):
            _load(port, "/v1/track", 8, 0.3)
        for connections in CONNECTIONS:
            loads = [
                (_load(door, "/v1/track", connections, seconds), _load(bare, "/v1/track", connections, seconds))
                for _ in range(ROUNDS)
            ]
            pair = _Pair(*(median(_rate(load[n]) for load in loads) for n in (0, 1)))
            _row(table, store, f"requests/s at {connections}", pair, SINGLE_LIMIT, [d for d, _ in loads])
        _batches(environment, door, store, seconds, table)
        _busy(environment, door, store, seconds, table)


def _batches(environment: Mapping[str, str], door: int, store: str, seconds: float, table: Table) -> None:
    bulk = [sys.executable, str(FOLDER / "_bare.py"), "bulk", str(seconds)]
    loads, rates = [], []
    for _ in range(ROUNDS):
        loads.append(_load(door, "/v1/batch", 8, seconds, batch=BATCH))
        rates.append(float(subprocess.run(bulk, env=environment, check=True, stdout=subprocess.PIPE).stdout))
    pair = _Pair(median(_rate(load) for load in loads) * BATCH, median(rates))
    _row(table, store, f"events/s in {BATCH}s at 8", pair, BATCH_LIMIT, loads)


def _busy(environment: Mapping[str, str], door: int, store: str, seconds: float, table: Table) -> None:
    """The p99 while a worker empties the inbox that the measurements before have filled."""
    quiet = [_load(door, "/v1/track", 8, seconds) for _ in range(ROUNDS)]
    command = [sys.executable, "manage.py", "process_inbox"]
    worker = subprocess.Popen(command, cwd=FOLDER.parent, env=environment, stdout=subprocess.DEVNULL)
    try:
        time.sleep(2)  # the worker's own start
        busy = [_load(door, "/v1/track", 8, seconds) for _ in range(ROUNDS)]
        if worker.poll() is not None:
            raise RuntimeError("The worker ended before the door was measured beside it.")
    finally:
        worker.kill()
        worker.wait()
    pair = _Pair(median(load.p99 for load in busy) * 1e3, median(load.p99 for load in quiet) * 1e3)
    _row(table, store, "p99 at 8, busy worker", pair, BUSY_LIMIT, busy, most=True)


def _row(
    table: Table, store: str, what: str, pair: _Pair, limit: float, loads: Sequence[Load], *, most: bool = False
) -> None:
    kept = pair.ratio <= limit if most else pair.ratio >= limit
    digits = 1 if most else 0
    times = f"{median(load.p50 for load in loads) * 1e3:.1f}/{median(load.p99 for load in loads) * 1e3:.1f}"
    table.add_row(
        f"{store}: {what}",
        f"{pair.door:,.{digits}f}",
        f"{pair.other:,.{digits}f}",
        f"{pair.ratio:.2f}" if kept else f"[bold red]{pair.ratio:.2f} ✗",
        f"{'≤' if most else '≥'} {limit}",
        times,
    )


def _rate(load: Load) -> float:
    return load.requests / load.seconds


def _load(port: int, path: str, connections: int, seconds: float, *, batch: int = 0) -> Load:
    arguments = [str(port), path, KEY, str(connections), str(seconds), str(batch)]
    command = [sys.executable, str(FOLDER / "_load.py"), *arguments]
    found = msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Load)
    if found.refused:
        raise RuntimeError(f"{found.refused} of {found.requests} requests were refused.")
    return found


def _manage(environment: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=FOLDER.parent, env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _server(environment: Mapping[str, str], arguments: list[str]) -> Iterator[int]:
    """A server in a process of its own, once it listens; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    more = [str(port)] if "serve" in arguments else []
    command = [sys.executable, *arguments, *more]
    process = subprocess.Popen(
        command, cwd=FOLDER.parent, env={**environment, "PORT": str(port)}, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise RuntimeError(f"{arguments} does not listen.")
        yield port
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
