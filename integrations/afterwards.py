"""What a look-up leaves to do when it has answered: log rows, marks of failure, traits, refreshing what is stale.

Done by threads of the process, so that nobody waits for it: in order by one thread (`later`), or by itself (`aside`).
What is not done when the process is killed is lost; none of it is needed to answer again.
"""

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable

from django.conf import settings
from django.db import Error, close_old_connections, connections

ASIDE_AT_ONCE = 8
IDLE_SECONDS = 30.0
"""After this the thread gives its connection to the store back; opening one costs more than a round."""
_GATHER_SECONDS = 0.25
_MOST = 10_000

Work = Callable[[], object]

log = logging.getLogger(__name__)
_waiting: deque[Work] = deque()
_asked = threading.Event()
_starting = threading.Lock()
_doing = threading.RLock()
_thread: threading.Thread | None = None
_room = threading.BoundedSemaphore(ASIDE_AT_ONCE)


def later(work: Work) -> bool:
    """Do `work` soon, after what was asked for before; false when too much waits. Never raises and never waits."""
    if len(_waiting) >= _MOST:
        return False
    _waiting.append(work)
    if settings.WORK_AFTERWARDS:
        _start()
        _asked.set()
    return True


def aside(work: Work) -> bool:
    """Do `work` at once in a thread of its own; false when `ASIDE_AT_ONCE` run already."""
    if not settings.WORK_AFTERWARDS:
        return later(work)
    if not _room.acquire(blocking=False):
        return False

    def run() -> None:
        try:
            _do(work)
        finally:
            connections.close_all()
            _room.release()

    threading.Thread(target=run, name="aside", daemon=True).start()
    return True


def finish() -> None:
    """Do everything that waits, in this thread."""
    with _doing:
        while _waiting:
            _do(_waiting.popleft())


def _start() -> None:
    global _thread  # noqa: PLW0603 - one for the process
    if _thread is not None and _thread.is_alive():
        return
    with _starting:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="afterwards", daemon=True)
            _thread.start()
            atexit.register(finish)


def _run() -> None:
    pause = threading.Event()
    while True:
        if not _asked.wait(IDLE_SECONDS):
            connections.close_all()
            _asked.wait()
        pause.wait(_GATHER_SECONDS)
        _asked.clear()
        close_old_connections()
        finish()


def _do(work: Work) -> None:
    try:
        work()
    except Error as error:
        log.warning("The store did not take what a look-up left to do: %s", type(error).__name__)
    except Exception:
        log.exception("What a look-up left to do failed.")


def forget_waiting() -> None:
    """Drop what waits."""
    _waiting.clear()
