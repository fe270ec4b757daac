"""`manage.py serve`: keeps two processes running, the web server and the worker with its scheduler.

Nothing but the standard library is imported here, so that the supervisor itself weighs little. The listening socket
belongs to the supervisor: while a web process that died is started again, connections wait instead of being refused.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from config import environment as env

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 15.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1


class Child:
    """One process that is started again when it ends, after a pause that doubles while it keeps failing."""

    def __init__(self, name: str, command: Sequence[str], *, passed: Sequence[int] = ()) -> None:
        self.name = name
        self._command = [sys.executable, *command]
        self._passed = tuple(passed)
        self._pause = _FIRST_PAUSE
        self._process: subprocess.Popen[bytes] | None = None
        self._since = 0.0
        self._again_at = 0.0

    def tend(self, now: float) -> float:
        """Start it if it should run and does not. Returns in how many seconds to look again at the latest."""
        if self._process is None:
            if now < self._again_at:
                return self._again_at - now
            self._start(now)
        elif self._process.poll() is not None:
            self._pause = _FIRST_PAUSE if now - self._since > _STEADY_SECONDS else self._pause
            _say(
                f"The {self.name} ended ({_ending(self._process.returncode)}); starting it again in {self._pause:g} s."
            )
            self._process = None
            self._again_at = now + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            return self._again_at - now
        return _LONGEST_PAUSE

    def signal(self, number: signal.Signals) -> None:
        """Send `number` if it runs."""
        if self.running:
            assert self._process is not None
            self._process.send_signal(number)

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self._process is not None and self._process.poll() is None

    def _start(self, now: float) -> None:
        parent = os.getpid()
        # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops both in order.
        self._process = subprocess.Popen(  # noqa: S603
            self._command,
            pass_fds=self._passed,
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509 - this process has one thread
        )
        self._since = now


def main() -> int:
    """Serve on HOST and PORT until SIGINT, SIGTERM or SIGHUP; returns the exit status."""
    listener = _listen(env.text("HOST", "127.0.0.1"), env.integer("PORT", 8000, low=1, high=65535))
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    for number in (*_STOP_SIGNALS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    children = [
        Child("web server", ["-m", "config.web", str(listener.fileno())], passed=[listener.fileno()]),
        Child("worker", ["manage.py", "work"]),
    ]
    wait = 0.0
    while not _stop_asked(wake_read, wait):
        now = time.monotonic()
        wait = min(child.tend(now) for child in children)
    return _stop(children, wake_read)


def _stop_asked(wake: int, seconds: float) -> bool:
    """Wait until a signal comes or `seconds` are over; true when it asks to stop."""
    if not select.select([wake], [], [], seconds)[0]:
        return False
    return any(number in _STOP_SIGNALS for number in os.read(wake, 64))


def _stop(children: Sequence[Child], wake: int) -> int:
    for child in children:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(child.running for child in children):
        left = deadline - time.monotonic()
        if left <= 0 or _stop_asked(wake, min(left, 1.0)):
            _say("Stopping at once.")
            for child in children:
                child.signal(signal.SIGKILL)
            return 1
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.exit(f"Cannot listen on {host} port {port} ({error.strerror}). Choose another port: PORT={port + 1}")
    listener.listen(2048)
    return listener


def _die_with(parent: int) -> None:
    """In the new process: be stopped when the supervisor is gone, however it went (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def _ending(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
