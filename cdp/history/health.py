"""What an operator asks of the history: how far behind it is, how large, what went wrong. Never touches the lake."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from cdp.core.clock import HOUR, SECOND
from cdp.history.models import LakeState
from cdp.history.waiting import waiting_events, waiting_people

LATE = HOUR
"""A row that has waited longer than this and LAKE_FLUSH_SECONDS says that nobody keeps the lake."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Of one table: rows that wait, seconds that the first of them has waited, size, and the last problem, if any."""

    table: str
    rows: int
    seconds: float
    files: int
    bytes: int
    error: str


def lags(now: int) -> list[Lag]:
    """How far each table is behind at `now` (µs): three queries."""
    found = []
    for state in LakeState.objects.all():
        waiting = waiting_events(state) if state.name == "events" else waiting_people(state)
        found.append(Lag(state.name, waiting.rows, waiting.seconds(now), state.files, state.bytes, state.error))
    return found


def lake_problem(found: Sequence[Lag]) -> str:
    """Why history cannot be relied on, as the end of a sentence; blank when it can."""
    folder = settings.LAKE_URL
    if "://" not in folder:
        there = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            return "its folder (LAKE_URL) cannot be written"
    for lag in found:
        if lag.seconds * SECOND > LATE + settings.LAKE_FLUSH_SECONDS * SECOND:
            why = lag.error or "is a worker running?"
            return f"{lag.rows} rows of {lag.table} have waited for {lag.seconds / 3600:.1f} hours: {why}"
    return ""


def lake_note(found: Sequence[Lag]) -> str:
    """How far behind it is, in words."""
    rows, seconds = sum(lag.rows for lag in found), max(lag.seconds for lag in found)
    return f"ok, {rows} rows wait for {seconds:.0f} s" if rows else "ok"
