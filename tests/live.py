"""A real web process on the database of the tests: `python -m config.web` on a free port.

Use the fixture `web` (tests/conftest.py) for a server that all tests share, or `WebServer` for one to kill.
"""

import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from cdp.access.keys import add_write_key
from cdp.access.models import Source
from cdp.access.source import SourceRef

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60


def database_url() -> str:
    """DATABASE_URL of the test database, for another process."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    password = f":{quote(given['PASSWORD'], safe='')}" if given["PASSWORD"] else ""
    return f"postgres://{given['USER']}{password}@{given['HOST']}:{given['PORT'] or 5432}/{given['NAME']}"


def free_port() -> int:
    """A TCP port that nobody uses now, below those the kernel gives to outgoing connections, which might take it."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def keyed_source(name: str = "shop", *, kind: str = Source.Kind.SERVER, **fields: object) -> tuple[SourceRef, str]:
    """A new source and its write key."""
    source = Source.objects.create(name=name, kind=kind, **fields)
    return SourceRef.of(source), add_write_key(source)


class WebServer:
    """The web process. As a context manager it is stopped at the end; `kill` is `kill -9`."""

    def __init__(self, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # The tests empty the store after each test: a journal of erasures that outlives it would be replayed.
        journal = Path(settings.DATA_DIR) / "journals" / uuid.uuid4().hex
        own = {"DATABASE_URL": database_url(), "ERASURE_JOURNAL": str(journal)}
        self._environment = {**os.environ, **own, **environment}
        self._environment |= {"DJANGO_SETTINGS_MODULE": "config.settings", "PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-W", "ignore", "-m", "config.web"]
        self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"The web process ended with {self._process.returncode}.")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError("The web process does not answer.")

    @contextmanager
    def no_room(self) -> Iterator[None]:
        """Its writes to files fail, as on a full disk."""
        assert self._process is not None
        before = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, before)

    def kill(self) -> None:
        """SIGKILL, as the kernel or an operator would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(30)

    def __enter__(self) -> "WebServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
