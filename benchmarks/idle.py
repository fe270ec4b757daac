"""What `make run` costs when nothing happens: memory and CPU of its processes, on SQLite.

Memory is the proportional set size (pages that processes share are counted once), after the server has taken an event,
answered the API and shown the admin's sign-in page, so that lazy imports are in. CPU is measured for 20 seconds.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from pathlib import Path

from _web import ROOT, free_port, wait_until_ready
from rich.console import Console
from rich.table import Table

SECONDS = 20.0
MEGABYTES = 300.0
PERCENT = 1.0


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = {**os.environ, "DATA_DIR": folder, "PORT": str(port)}
        environment = {k: v for k, v in environment.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        said = subprocess.run(
            [sys.executable, "manage.py", "setup", "--demo", "200"],
            cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        keys = {
            line[:9].strip(): line.split()[2] for line in said.splitlines() if line[:9] in ("Write key", "API key  ")
        }
        with (Path(folder) / "log").open("w") as log:
            begun = time.monotonic()
            serve = [sys.executable, "manage.py", "serve"]
            server = subprocess.Popen(serve, cwd=ROOT, env=environment, stderr=log, stdout=log)
            try:
                wait_until_ready(port)
                started = time.monotonic() - begun
                _use(port, keys)
                processes = [server.pid, *_children(server.pid)]
                time.sleep(5)
                before = [_cpu_seconds(pid) for pid in processes]
                time.sleep(SECONDS)
                cpu = [100 * (_cpu_seconds(pid) - b) / SECONDS for pid, b in zip(processes, before, strict=True)]
                memory = [_megabytes(pid) for pid in processes]
                print_table(processes, memory, cpu, started)
            finally:
                server.terminate()
                server.wait(timeout=20)


def print_table(processes: list[int], memory: list[float], cpu: list[float], started: float) -> None:
    """One row for each process, and the sums beside their limits."""
    table = Table("process", "memory MB", "CPU %", title="Idle cost of `make run`")
    for pid, megabytes, percent in zip(processes, memory, cpu, strict=True):
        table.add_row(_name(pid), f"{megabytes:.0f}", f"{percent:.2f}")
    table.add_section()
    table.add_row("together", f"{sum(memory):.0f}", f"{sum(cpu):.2f}")
    table.add_row("limit", f"{MEGABYTES:.0f}", f"{PERCENT:.2f}")
    table.add_row("ratio", _ratio(sum(memory) / MEGABYTES), _ratio(sum(cpu) / PERCENT))
    Console().print(table)
    Console().print(f"From `manage.py serve` to ready: {started:.1f} s (limit 3 s).")


def _ratio(value: float) -> str:
    return f"{value:.2f} {'ok' if value <= 1 else 'MISSED'}"


def _use(port: int, keys: dict[str, str]) -> None:
    base = f"http://127.0.0.1:{port}"
    basic = b64encode(f"{keys['Write key']}:".encode()).decode()
    body = b'{"type":"track","event":"Looked","userId":"idle"}'
    for request in (
        urllib.request.Request(f"{base}/v1/track", data=body, headers={"Authorization": f"Basic {basic}"}),
        urllib.request.Request(f"{base}/api/v1/cdp/events?limit=5", headers={"X-API-Key": keys["API key"]}),
        urllib.request.Request(f"{base}/admin/login/"),
        urllib.request.Request(f"{base}/metrics"),
    ):
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _name(pid: int) -> str:
    line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    return "web" if "config.web" in line else "worker + scheduler" if "\0work\0" in line else "supervisor"


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)


if __name__ == "__main__":
    main()
