"""manage.py process_inbox: turn waiting messages into events and profiles, without Celery."""

import os
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from cdp.pipeline.process import process_inbox


class Command(BaseCommand):
    """Processes what waits, and with no --once goes on for ever, asking every 0.2 seconds."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("--once", action="store_true", help="stop when nothing waits")

    def handle(self, *_args: Any, once: bool, **_options: Any) -> None:
        """Process; Ctrl-C stops between two micro-batches or undoes the one that is being written."""
        total = 0
        if not once:
            os.nice(settings.WORKER_NICE)
        try:
            while True:
                total += process_inbox()
                if once:
                    break
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass
        self.stdout.write(f"{total} messages processed.")
