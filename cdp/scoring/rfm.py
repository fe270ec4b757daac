"""RFM of one person and of everybody: scores, named segments, the points of the 3-D view; lifecycle stages beside them.

How scores are made is in `cdp.lake.measures.bases.rfm`, the names and bounds in `cdp.lake.measures.named`.
"""

from typing import TYPE_CHECKING

import msgspec

from cdp.core.clock import DAY
from cdp.history.snapshot import snapshot
from cdp.lake.measures.formula import STAGES
from cdp.lake.measures.named import Named, rfm_segment

if TYPE_CHECKING:
    import ibis.expr.types as ir

QUINTILES = 5


class Metrics(msgspec.Struct, frozen=True):
    """What a person is scored by: days since the last purchase, purchases, spent in the main currency."""

    r: float
    f: float
    m: float


class Scores(msgspec.Struct, frozen=True):
    """Quintiles, 1 to 5."""

    r: int
    f: int
    m: int


class Analysis(msgspec.Struct, frozen=True):
    """Where a person stands among `buyers`; without a purchase there is nothing to score."""

    metrics: Metrics | None
    scores: Scores | None
    segment: Named | None
    buyers: int


class Cell(msgspec.Struct, frozen=True):
    """The people with these three scores, and what they have spent in their main currencies together."""

    r: int
    f: int
    m: int
    people: int
    spent: float
    days: float
    purchases: float


def analyze_person(person: int, *, now: int) -> Analysis:
    """The scores of a person (an id) at `now` (µs): two queries of one moment of history."""
    from cdp.lake.measures.bases import purchases

    with snapshot() as snap:
        bought = purchases(snap.tables, now)
        own = snap.run(bought.filter(bought.person == person)).to_pylist()
        if not own:
            return Analysis(None, None, None, snap.run(bought.agg(n=bought.count())).to_pylist()[0]["n"])
        row = own[0]
        found = snap.run(_standing(bought, row["last_purchase"], row["purchases"], row["spent"])).to_pylist()[0]
    metrics = Metrics(float((now - row["last_purchase"]) // DAY), float(row["purchases"]), row["spent"])
    return _analysis(metrics, found)


def analyze_metrics(metrics: Metrics, *, now: int) -> Analysis:
    """The scores that somebody with these metrics would have among the buyers of now: one query."""
    from cdp.lake.measures.bases import purchases

    with snapshot() as snap:
        bought = purchases(snap.tables, now)
        found = snap.run(_standing(bought, now - round(metrics.r * DAY), metrics.f, metrics.m)).to_pylist()[0]
    return _analysis(metrics, found)


def rfm_cells(*, now: int) -> list[Cell]:
    """Every combination of scores that somebody has, 125 at most: one query."""
    from cdp.lake.measures.bases import rfm

    with snapshot() as snap:
        scored = rfm(snap.tables, now)
        living = scored.semi_join(snap.tables.people, "person")
        cells = living.group_by(r=living.recency, f=living.frequency, m=living.monetary).agg(
            people=living.count(),
            spent=living.spent.sum(),
            days=((now - living.last_purchase) / DAY).mean(),
            purchases=living.purchases.mean(),
        )
        rows = snap.run(cells.order_by("r", "f", "m")).to_pylist()
    return [Cell(**{**row, "purchases": float(row["purchases"])}) for row in rows]


def stage_sizes(*, now: int) -> dict[str, int]:
    """How many people are in each lifecycle stage, those that nobody is in too: one query."""
    from cdp.lake.measures.expressions import measured

    with snapshot() as snap:
        stages = measured(["lifecycleStage"], snap.tables, now)
        rows = snap.run(stages.group_by("lifecycleStage").agg(people=stages.count())).to_pylist()
    found = {row["lifecycleStage"]: row["people"] for row in rows}
    return {stage: found.get(stage, 0) for stage in STAGES}


def _standing(bought: "ir.Table", last: int, purchases: float, spent: float) -> "ir.Table":
    """How many buyers there are, and how many are worse in each of the three."""
    return bought.agg(
        buyers=bought.count(),
        r=bought.count(where=bought.last_purchase < last),
        f=bought.count(where=bought.purchases < purchases),
        m=bought.count(where=bought.spent < spent),
    )


def _analysis(metrics: Metrics, found: dict[str, int]) -> Analysis:
    buyers = found["buyers"]
    if not buyers:
        return Analysis(metrics, None, None, 0)
    r, f, m = (min(QUINTILES, 1 + QUINTILES * found[name] // buyers) for name in ("r", "f", "m"))
    return Analysis(metrics, Scores(r, f, m), rfm_segment(r, f), buyers)
