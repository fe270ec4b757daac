"""How many messages each source had with each outcome, per day: what the debugger, /metrics and the console count."""

from collections.abc import Mapping

from cdp.core.bulk import Database, Table

_COUNTERS = Table(
    "pipeline_counter",
    {"day": "integer", "source_id": "integer", "outcome": "text", "count": "bigint"},
    ("day", "source_id", "outcome"),
)
_ADD = "on conflict (day, source_id, outcome) do update set count = pipeline_counter.count + excluded.count"


def count(db: Database, outcomes: Mapping[tuple[int, int, str], int]) -> None:
    """Add to the counters of (day since 1970, source, outcome), in the open transaction: one statement.

    In sorted order, so that two who count the same wait for each other instead of deadlocking.
    """
    rows = [(*key, number) for key, number in sorted(outcomes.items()) if number]
    db.insert(_COUNTERS, rows, conflict=_ADD)
