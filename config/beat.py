"""The scheduler as a thread of the worker's process: it only sends what is due, so it needs no process of its own."""

import fcntl
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from celery.beat import PersistentScheduler

from config.celery import app

_log = logging.getLogger(__name__)
_LOCK_SECONDS = 5.0


class BeatThread(threading.Thread):
    """Sends due tasks until `stop`. Several workers may share `folder`: one of them schedules, the next takes over.

    `failed` is called from the thread when scheduling broke down and the process should be started again.
    """

    def __init__(self, folder: Path, *, failed: Callable[[], None]) -> None:
        super().__init__(name="beat", daemon=True)
        self._folder = folder
        self._failed = failed
        self._stopping = threading.Event()

    def run(self) -> None:
        """Wait for the lock of the folder, then schedule."""
        with (self._folder / "beat.lock").open("w") as lock:
            while not self._stopping.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._stopping.wait(_LOCK_SECONDS)
                    continue
                try:
                    self._schedule()
                finally:
                    if not self._stopping.is_set():
                        _log.error("The scheduler stopped; this process ends so that it is started again.")
                        self._failed()
                return

    def stop(self) -> None:
        """Ask it to end; `join` returns when its schedule is on disk."""
        self._stopping.set()

    def _schedule(self) -> None:
        # Not celery.beat.Service: it sleeps where a stop cannot wake it, so it would have to look every second.
        scheduler = PersistentScheduler(app, schedule_filename=str(self._folder / "beat-schedule"))
        try:
            while not self._stopping.is_set():
                self._stopping.wait(scheduler.tick())
        finally:
            scheduler.close()
