"""History as the tests look at it."""

from typing import Any

from cdp.history.snapshot import snapshot
from cdp.lake.tables import Tables


def rows_of(tables: Tables, run: Any) -> dict[str, list[dict[str, Any]]]:
    """Every logical table as rows, in a fixed order."""
    return {
        "events": run(tables.events.order_by("id")).to_pylist(),
        "people": run(tables.people.order_by("person")).to_pylist(),
        "moved": run(tables.moved.order_by("profile")).to_pylist(),
    }


def history() -> dict[str, list[dict[str, Any]]]:
    """Everything that a query sees now."""
    with snapshot() as taken:
        return rows_of(taken.tables, taken.run)
