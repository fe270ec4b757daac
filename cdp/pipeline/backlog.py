"""Filling the inbox with much, and working it off with progress: for commands."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection
from django.db.models import Max
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cdp.core.errors import Unavailable
from cdp.pipeline.lease import database, release_lease
from cdp.pipeline.models import InboxMessage
from cdp.pipeline.process import process_batch
from cdp.pipeline.spool import collect_spool

T = TypeVar("T")
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 120.0


def patiently(write: Callable[[], T]) -> T:
    """The result of `write`, a whole transaction, tried again while the store is locked or away.

    Raises Unavailable after two minutes.
    """
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return write()
        except OperationalError as error:
            connection.close_if_unusable_or_obsolete()
            if time.monotonic() > give_up:
                raise Unavailable("The database stays locked or away.") from error
            time.sleep(_POLL_SECONDS)


def work_off(on_progress: Callable[[int], None], *, wait: bool = True) -> None:
    """Process what is in the inbox now; `on_progress` gets how many of these messages are left.

    With `wait` it also waits for what another worker holds; without, it leaves that to it. Raises Unavailable when the
    other worker makes no progress for two minutes.
    """
    collect_spool()
    last = InboxMessage.objects.aggregate(last=Max("id"))["last"]
    if last is None:
        return
    left = InboxMessage.objects.filter(id__lte=last)
    remaining = left.count()
    moved = time.monotonic()
    try:
        while remaining > 0:
            on_progress(remaining)
            if taken := patiently(process_batch):
                remaining -= taken
                continue
            if not wait:
                return
            time.sleep(_POLL_SECONDS)
            now, before = time.monotonic(), remaining
            remaining = left.count()
            if remaining < before:
                moved = now
            elif now - moved > _PATIENCE_SECONDS:
                raise Unavailable("Another worker holds the inbox and does not go on. Is it stuck?")
        on_progress(0)
    finally:
        release_lease(database())


def bar_of_backlog(console: Console) -> None:
    """`work_off` with a progress bar on `console`."""
    parts = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*parts, console=console) as bar:
        task = bar.add_task("Processing", total=None)
        most = 0

        def on_progress(left: int) -> None:
            nonlocal most
            most = max(most, left)
            bar.update(task, total=most, completed=most - left)

        work_off(on_progress)
