"""The logical tables that rules and measures are written against, whatever engine reads them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True, slots=True)
class Tables:
    """One moment of history as Ibis tables (columns: `cdp.lake.schema`).

    `people`: one row per living person, their current state. `events`: every event under the fragment (`profile`) that
    owns it. `moved`: `profile` → `person` for the fragments whose person is another profile, and only those; who needs
    the person of an event joins it after filtering. `members`: `segment` (key) and `person`, current memberships.
    """

    people: "ir.Table"
    events: "ir.Table"
    moved: "ir.Table"
    members: "ir.Table"

    def columns(self) -> "tuple[tuple[str, ir.Schema], ...]":
        """Names and columns of the tables, to tell whether a query over others of their kind means the same."""
        return tuple(
            (table.get_name(), table.schema()) for table in (self.people, self.events, self.moved, self.members)
        )
