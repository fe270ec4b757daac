"""Keeping the lake quick to read: compaction, and the removal of files that nothing needs."""

from collections.abc import Callable

from cdp.core.clock import now_us
from cdp.history.engine import local_engine
from cdp.history.layout import wanted_columns
from cdp.history.lease import lake_lease
from cdp.history.models import LakeState
from cdp.history.tables import note, open_table, store_id
from cdp.lake.compaction import MANY_FILES, compact_month, compact_people, months_due, people_due
from cdp.lake.delta import EVENTS, PEOPLE, LakeTable

Progress = Callable[[str, int, int], None]
"""Called with what is done, how many parts of it are done and how many there are."""
MANY_VERSIONS = 50_000


def compact_due() -> int:
    """Compact what has become slow to read; returns how many parts were rewritten. One query when there is nothing.

    Events from MANY_FILES files on; people when a quarter of them has a newer version, or from MANY_FILES of those.
    """
    states = LakeState.objects.in_bulk()
    done = compact_events() if states[EVENTS.name].files >= MANY_FILES else 0
    people = states[PEOPLE.name]
    if people.files >= MANY_FILES or people.rows - people.compacted_rows >= MANY_VERSIONS:
        done += compact_people_table()
    return done


def compact_events(*, everything: bool = False, progress: Progress = lambda *_: None) -> int:
    """Rewrite the months that are due (or all with several files), one commit each; returns how many.

    Raises LakeBusy and Overtaken; what was rewritten before stays.
    """
    store = store_id()
    with lake_lease(EVENTS.name) as held:
        table = open_table(EVENTS, store=store)
        if table is None:
            return 0
        months = _months(table) if everything else months_due(table)
        for done, month in enumerate(months):
            progress("events", done, len(months))
            held.renew()
            compact_month(table, month, local_engine())
            note(table)
        progress("events", len(months), len(months))
        _tidy(table)
        return len(months)


def compact_people_table(*, everything: bool = False) -> int:
    """Rewrite the current state of people if that is due; returns how many tables were rewritten."""
    store = store_id()
    with lake_lease(PEOPLE.name) as held:
        table = open_table(PEOPLE, store=store)
        typed = wanted_columns()
        if table is None:
            return 0
        due = everything or people_due(table, typed, many=MANY_VERSIONS)
        if due:
            held.renew()
            compact_people(table, typed, local_engine(), now=now_us())
        _tidy(table)
        return int(due)


def _months(table: LakeTable) -> list[str]:
    parts = [file.part for file in table.files()]
    return sorted({part for part in parts if parts.count(part) > 1})


def _tidy(table: LakeTable) -> None:
    table.vacuum(at_once=False)
    note(table, compacted_at=now_us(), compacted_rows=sum(file.rows for file in table.files()))
