"""Events that retention is over for leave the lake: month by month, and the files that held them with them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cdp.history.engine import local_engine
from cdp.history.lease import Held
from cdp.history.tables import note, open_table, store_id
from cdp.lake.compaction import keep_rows
from cdp.lake.delta import EVENTS, LakeTable
from cdp.lake.duck import DuckSession
from cdp.lake.errors import Overtaken
from cdp.lake.event_rows import months

if TYPE_CHECKING:
    import ibis.expr.types as ir

Progress = Callable[[str, int, int], None]
Verdict = Callable[["ir.Table"], "ir.IntegerValue"]
"""Rows of `events` → by which reason (a number above 0) each goes, 0 for those that stay."""

_SECONDS = 86_400.0


class Doomed:
    """How many rows of the table go, by reason, with the time (µs) of the oldest; and the months that have some."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.oldest: dict[int, int] = {}
        self.months: list[str] = []

    def add(self, reason: int, rows: int, oldest: int) -> None:
        """Count rows of one reason."""
        self.rows[reason] = self.rows.get(reason, 0) + rows
        self.oldest[reason] = min(self.oldest.get(reason, oldest), oldest)


def doomed_rows(table: LakeTable | None, verdict: Verdict, spared: Sequence[int], *, before: int) -> Doomed:
    """What would go of the months up to that of `before` (µs); nothing of the profiles `spared`."""
    found = Doomed()
    months = [] if table is None else _months(table, before)
    if table is None or not months:
        return found
    session = local_engine().session()
    try:
        rows = session.rows("rows", table.dataset(months))
        judged = rows.anti_join(_spared(session, spared), "profile")
        judged = judged.select("month", "ts", reason=verdict(judged))
        going = judged.filter(judged.reason > 0)
        counted = going.group_by("month", "reason").agg(rows=going.count(), oldest=going.ts.min())
        for batch in session.run(counted, seconds=_SECONDS):
            for row in batch.to_pylist():
                found.add(row["reason"], row["rows"], row["oldest"])
                found.months.append(row["month"])
    finally:
        session.close()
    found.months = sorted(set(found.months))
    return found


def remove_doomed(
    held: Held,
    verdict: Verdict,
    spared: Callable[[], Sequence[int]],
    *,
    before: int,
    resumed: bool,
    progress: Progress = lambda *_: None,
) -> Doomed:
    """Take them out for good, under the lease `held` on the table: one commit a month, then the old files.

    `spared` is asked again when a month is written: when more profiles are to be spared by then, that month stays as it
    was. `resumed` removes old files also when no row goes, because an earlier run may have died before. Raises
    Overtaken, LakeBusy; what was committed stays, and the next run goes on.
    """
    store = store_id()
    now_spared = list(spared())
    table = open_table(EVENTS, store=store)
    found = doomed_rows(table, verdict, now_spared, before=before)

    def kept(rows: "ir.Table", session: DuckSession) -> "ir.Table":
        return rows.filter((verdict(rows) == 0) | rows.profile.isin(_spared(session, now_spared).profile))

    def still_so() -> None:
        if not set(spared()) <= set(now_spared):
            raise Overtaken("Somebody was put under a legal hold meanwhile: the next run leaves their events.")

    for done, month in enumerate(found.months):
        progress("events of the lake, months", done, len(found.months))
        held.renew()
        table = open_table(EVENTS, store=store)
        assert table is not None
        keep_rows(table, month, local_engine(), kept, before_commit=still_so)
    progress("events of the lake, months", len(found.months), len(found.months))
    if table is not None and (found.months or resumed):
        held.renew()
        table = open_table(EVENTS, store=store)
        assert table is not None
        table.vacuum(at_once=True)
        note(table)
    return found


def _months(table: LakeTable, before: int) -> list[str]:
    import pyarrow as pa

    last = months(pa.array([before], pa.int64()))[0].as_py()
    return sorted({file.part for file in table.files() if file.part <= last})


def _spared(session: DuckSession, profiles: Sequence[int]) -> "ir.Table":
    import pyarrow as pa

    return session.rows("spared", pa.table({"profile": pa.array(profiles, pa.int64())}))
