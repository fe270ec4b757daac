"""`manage.py serve` of an installation: the supervisor and its two processes, as `make run` starts them."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.installation import ROOT, Installation
from tests.live import free_port

_PATIENCE = 60.0


def until(condition: Callable[[], bool], *, within: float = _PATIENCE) -> None:
    """Wait for `condition`; fails when it does not come."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} s"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    said = _said_of(pid, "stat")
    return bool(said) and said.rpartition(b")")[2].split()[0] != b"Z"


def _said_of(pid: int, file: str) -> bytes:
    """What /proc says of a process; nothing when it is gone, also when it goes between opening and reading."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


class Serving:
    """A running supervisor on a port of its own."""

    def __init__(self, installation: Installation) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = installation.folder / "serve.log"
        environment = {**installation.environment, "PORT": str(self.port)}
        with self._log.open("w") as log:
            command = [sys.executable, "-W", "ignore", "manage.py", "serve"]
            self.supervisor = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log, stdout=log)

    def log(self) -> str:
        """What the three processes have written."""
        return self._log.read_text()

    def ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def children(self) -> dict[str, int]:
        """Process ids of `web` and `worker`, as far as they run."""
        pid = self.supervisor.pid
        found = {}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if alive(int(child)):
                line = _said_of(int(child), "cmdline")
                found["web" if b"config.web" in line else "worker"] = int(child)
        return found

    def wait_until_ready(self) -> None:
        """Both processes run, and the web server says that it is ready."""
        until(lambda: self.supervisor.poll() is None and len(self.children()) == 2 and self.ready())


@contextmanager
def serving(installation: Installation) -> Iterator[Serving]:
    """`manage.py serve`, ready; killed at the end if it still runs."""
    server = Serving(installation)
    try:
        server.wait_until_ready()
        yield server
    except BaseException:
        sys.stderr.write(server.log())
        raise
    finally:
        if server.supervisor.poll() is None:
            server.supervisor.terminate()
            try:
                server.supervisor.wait(30)
            except subprocess.TimeoutExpired:
                os.kill(server.supervisor.pid, signal.SIGKILL)
                server.supervisor.wait(30)
