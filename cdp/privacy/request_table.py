"""Requests as a table in a terminal."""

from collections.abc import Iterable
from typing import Any

from django.core.management.base import OutputWrapper
from rich.console import Console
from rich.table import Table

from cdp.core.clock import now_us
from cdp.privacy.alerts import left_in_words
from cdp.privacy.deadlines import days_left
from cdp.privacy.models import PrivacyRequest


def print_requests(rows: Iterable[PrivacyRequest], stdout: OutputWrapper) -> None:
    """One line each, with the deadline in words; a sentence when there is none."""
    now = now_us()
    table = Table(box=None, pad_edge=False)
    for name, width in (("id", 36), ("type", 13), ("status", 10), ("deadline", 8)):
        table.add_column(name, no_wrap=True, min_width=width)
    table.add_column("outcome")
    for row in rows:
        deadline = left_in_words(days_left(row, now=now)) or "answered"
        table.add_row(str(row.public_id), row.kind, row.status, deadline, row.outcome)
    if not table.row_count:
        stdout.write("There is no such request.")
        return
    out: Any = stdout
    Console(file=out).print(table)
