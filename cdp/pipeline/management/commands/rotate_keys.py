"""manage.py rotate_keys: a new master key for everything that is encrypted, with a progress bar."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cdp.core.errors import Conflict
from cdp.pipeline.rotation import SETTLING_SECONDS, begin_rotation, retire_old_keys, rotate


class Command(BaseCommand):
    """Seals and indexes every value again. May be interrupted: the next run goes on where it stopped."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("--keep-old", action="store_true", help="leave the old key in the ring afterwards")

    def handle(self, *_args: Any, keep_old: bool, **_options: Any) -> None:
        """Rotate, then retire the old keys unless told otherwise."""
        try:
            version = begin_rotation()
        except ValueError as error:
            raise CommandError(str(error)) from error
        started = time.monotonic()
        bars: dict[str, TaskID] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns) as shown:

            def step(table: str, done: int, total: int) -> None:
                if table not in bars:
                    bars[table] = shown.add_task(table, total=total)
                shown.update(bars[table], completed=done, total=total)

            rotate(version, progress=step)
            left = SETTLING_SECONDS - (time.monotonic() - started)
            if left > 0:  # what other processes wrote under the old key meanwhile is taken in a second pass
                time.sleep(left)
                rotate(version, progress=step)
        if keep_old:
            self.stdout.write(f"Everything uses key {version}. The old keys stay in the ring.")
            return
        try:
            retired = retire_old_keys(version)
        except Conflict as error:
            raise CommandError(error.message) from error
        except ValueError:
            self.stdout.write(f"Everything uses key {version}. Remove the older ones from DATA_KEYS now.")
            return
        self.stdout.write(f"Everything uses key {version}. Retired: {', '.join(map(str, retired)) or 'none'}.")
