"""Moving events and versions of people into the lake, each exactly once.

A table's position stands in the table itself and moves in the same commit as the rows: killed anywhere there is nothing
to undo, and of two exporters the later one is refused and looks again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from cdp.core.bulk import Database
from cdp.core.clock import now_us
from cdp.history.event_rows import events_rows
from cdp.history.layout import stored_columns
from cdp.history.lease import Held, lake_lease
from cdp.history.people_rows import CHUNK, changed_people, gone_rows, people_rows
from cdp.history.reading import database, ends, one_moment
from cdp.history.tables import check_not_ahead, note, note_expiry, note_flushed, store_id, table_to_write
from cdp.history.waiting import tables_to_flush
from cdp.lake.delta import EVENTS, PEOPLE
from cdp.lake.event_rows import months
from cdp.lake.schema import NEW, Typed

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Flushed:
    """How many rows reached the lake."""

    events: int
    people: int


def flush(*, now: int | None = None) -> Flushed:
    """Bring everything that waits into the lake. Raises LakeBusy, Overtaken, ForeignLake."""
    return Flushed(flush_events(now=now), flush_people(now=now))


def flush_due(now: int) -> Flushed:
    """Flush the tables for which enough waits, or something has waited long enough: three queries when not."""
    due = tables_to_flush(now)
    return Flushed(
        flush_events(now=now) if EVENTS.name in due else 0, flush_people(now=now) if PEOPLE.name in due else 0
    )


def flush_events(*, now: int | None = None) -> int:
    """Append all hot events that the lake does not have, LAKE_FLUSH_ROWS at a time; returns how many."""
    with lake_lease(EVENTS.name) as held:
        return sum(export_events(held, now=now))


def export_events(held: Held, *, now: int | None = None) -> Iterator[int]:
    """One append after the other until nothing waits; gives the rows of each. One query each, whatever the rows."""
    store = store_id()
    while True:
        table = table_to_write(EVENTS, store=store)
        check_not_ahead(ends(database()), events=table.position, people=PEOPLE.start)
        after = table.position
        rows = events_rows(database(), after, settings.LAKE_FLUSH_ROWS)
        if rows.num_rows:
            held.renew()
            month = months(rows["ts"].combine_chunks())
            table.append(rows.append_column("month", month), rows["id"][-1].as_py())
        note(table)
        if rows.num_rows < settings.LAKE_FLUSH_ROWS:
            note_flushed(EVENTS.name, now=now)
            yield rows.num_rows
            return
        yield rows.num_rows


def flush_people(*, now: int | None = None) -> int:
    """Append a version of everybody who was described since the last flush; returns how many."""
    with lake_lease(PEOPLE.name) as held:
        return sum(export_people(held, now=now or now_us()))


def export_people(held: Held, *, now: int) -> Iterator[int]:
    """One append after the other until nothing waits; gives the versions of each."""
    import pyarrow.compute as pc

    store = store_id()
    while True:
        table = table_to_write(PEOPLE, store=store)
        with one_moment() as db:
            end = ends(db)
            check_not_ahead(end, events=EVENTS.start, people=table.position)
            upto = _cut(db, table.position, end.fence)
            rows = _versions(db, table.position, upto, now=now, typed=stored_columns(table.schema))
        if rows.num_rows:
            held.renew()
            note_expiry(pc.min(rows["next_expiry"]).as_py())
            table.append(rows, upto)
        note(table)
        if upto == end.fence:
            note_flushed(PEOPLE.name, now=now)
            yield rows.num_rows
            return
        yield rows.num_rows


def _cut(db: Database, after: int, last: int) -> int:
    """The fence up to which to export now: about LAKE_FLUSH_ROWS profiles, all writes of a fence together."""
    found = db.rows(
        "select described from profiles_profile where described > ? order by described limit 1 offset ?",
        (after, settings.LAKE_FLUSH_ROWS),
    )
    return min(found[0][0], last) if found else last


def _versions(db: Database, after: int, upto: int, *, now: int, typed: dict[str, Typed]) -> "pa.Table":
    """A version of everybody described above `after` up to `upto`, as rows of the part of new ones."""
    import pyarrow as pa

    changed = changed_people(db, after, upto)
    pieces = [
        people_rows(db, changed.people[start : start + CHUNK], now=now, typed=typed, upto=upto)
        for start in range(0, len(changed.people), CHUNK)
    ]
    rows = pa.concat_tables([*pieces, gone_rows(changed.gone, now=now, typed=typed)])
    return rows.append_column("part", pa.array([NEW] * rows.num_rows, pa.string()))
