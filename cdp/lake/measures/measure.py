"""The built-in measures: one value per person, counted from the history, the same on every engine.

| measure | kind | what | without a purchase (or event) |
|---|---|---|---|
| `ltv`, `totalSpent` | number | spent in the main currency, exactly added up | 0 |
| `aov` | number | average order; missing with several currencies | missing |
| `purchaseCount` | number | purchases | 0 |
| `firstPurchaseDate`, `lastPurchaseDate` | time | first and last purchase | missing |
| `daysSinceLastPurchase` | number | whole days since the last purchase | missing |
| `firstSeenDate`, `lastSeenDate` | time | first and last event; without any, when the person was created | – |
| `daysSinceLastSeen` | number | whole days since the last event | – |
| `eventCount` | number | events | 0 |
| `recencyScore`, `frequencyScore`, `monetaryScore` | number | RFM quintiles, 1 to 5 (`bases.rfm`) | missing |
| `rfmSegment` | text | one of the ten of `named` | missing |
| `lifecycleStage` | text | one of `formula.STAGES` | `prospect` or `inactive` |
| `engagementScore` | number | 0 to 100 (`cdp.scoring.engagement`) | – |
| `profileScore` | number | 0 to 100 (`cdp.scoring.profile`) | – |

Events after `now` do not count.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cdp.lake.tables import Tables

Kind = Literal["number", "text", "time"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure: its kind and what it means in words.

    `local` says that a person's value depends on that person's rows alone: then it may be computed over tables that
    hold only some people. RFM scores rank everybody.
    """

    name: str
    kind: Kind
    words: str
    local: bool = True

    def table(self, tables: "Tables", now: int) -> "ir.Table":
        """`person` and one column called like the measure, for every living person at `now` (µs)."""
        # imported where they are used: whoever only asks for names and kinds need not load an engine
        from cdp.lake.measures.expressions import measured

        return measured([self.name], tables, now)


_ALL = (
    Measure("ltv", "number", "lifetime value so far"),
    Measure("totalSpent", "number", "total spent"),
    Measure("aov", "number", "average order value"),
    Measure("purchaseCount", "number", "number of purchases"),
    Measure("firstPurchaseDate", "time", "first purchase"),
    Measure("lastPurchaseDate", "time", "last purchase"),
    Measure("daysSinceLastPurchase", "number", "days since the last purchase"),
    Measure("firstSeenDate", "time", "first seen"),
    Measure("lastSeenDate", "time", "last seen"),
    Measure("daysSinceLastSeen", "number", "days since last seen"),
    Measure("eventCount", "number", "number of events"),
    Measure("recencyScore", "number", "RFM recency score", local=False),
    Measure("frequencyScore", "number", "RFM frequency score", local=False),
    Measure("monetaryScore", "number", "RFM monetary score", local=False),
    Measure("rfmSegment", "text", "RFM segment", local=False),
    Measure("lifecycleStage", "text", "lifecycle stage"),
    Measure("engagementScore", "number", "engagement score"),
    Measure("profileScore", "number", "profile score"),
)

MEASURES = {measure.name: measure for measure in _ALL}
"""Every measure by name."""
