"""`manage.py work`: the worker and the scheduler, in one process."""

import os
import signal
import sys
from typing import Any

from celery.signals import worker_shutting_down
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT, then finishes the micro-batch it is at. Any number of them may run."""

    help = "Process what arrives: worker and scheduler in one process."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Only the number of threads."""
        parser.add_argument("--threads", type=int, default=3, help="tasks at a time (default 3)")

    def handle(self, *, threads: int, **_options: Any) -> None:
        """Exits with 1 when the scheduler broke down, so that the supervisor starts it again."""
        from config.beat import BeatThread
        from config.celery import app

        broken = False

        def give_up() -> None:
            nonlocal broken
            broken = True
            os.kill(os.getpid(), signal.SIGTERM)

        worker = app.Worker(
            pool="threads",
            concurrency=threads,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
            loglevel=settings.LOG_LEVEL,
        )
        beat = BeatThread(settings.DATA_DIR, failed=give_up)
        worker_shutting_down.connect(lambda **_: beat.stop(), weak=False)
        beat.start()
        try:
            worker.start()
        finally:
            beat.stop()
            beat.join(timeout=3)
        sys.exit(1 if broken else worker.exitcode or 0)
