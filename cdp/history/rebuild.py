"""Making the lake anew: people from the operational store, events from it and from what the old lake still has."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from cdp.core.clock import now_us
from cdp.history.engine import local_engine
from cdp.history.export import export_events, export_people
from cdp.history.layout import wanted_columns
from cdp.history.lease import lake_lease
from cdp.history.models import LakeState
from cdp.history.reading import database, ends
from cdp.history.tables import store_id
from cdp.history.tail import forget_tail
from cdp.lake.compaction import drop_after
from cdp.lake.delta import EVENTS, PEOPLE, Kind, LakeTable
from cdp.lake.errors import ForeignLake
from cdp.lake.schema import events_schema, people_schema

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How much was written, and a sentence on what could not be."""

    events: int
    people: int
    lost: str


def rebuild(*, progress: Progress = lambda *_: None) -> Rebuilt:
    """Write the table of people anew; and the one of events, unless it can be read: then it keeps what it has.

    Earlier versions of people are lost. Of a lost table of events those are lost that the operational store has purged.
    Events that came after the backup from which the operational store was restored are taken out. A lake of another
    store is overwritten. Raises LakeBusy; killed anywhere, the next run does it again.
    """
    store = store_id()
    with lake_lease(PEOPLE.name) as held:
        LakeTable.create(
            settings.LAKE_URL, PEOPLE, people_schema(wanted_columns().values()), store=str(store), overwrite=True
        )
        total = database().rows("select count(*) from profiles_profile")[0][0]
        people = 0
        for written in export_people(held, now=now_us()):
            people += written
            progress("people", people, max(people, total))
    with lake_lease(EVENTS.name) as held:
        table = _readable(EVENTS, store)
        last = ends(database()).event
        if table is None:
            LakeTable.create(settings.LAKE_URL, EVENTS, events_schema(), store=str(store), overwrite=True)
        elif table.position > last:
            drop_after(table, last, local_engine())
        total = database().rows("select count(*) from events_event")[0][0]
        events = 0
        for written in export_events(held):
            events += written
            progress("events", events, max(events, total))
    forget_tail()
    return Rebuilt(events, people, _what_is_lost(table is not None))


def _readable(kind: Kind, store: uuid.UUID) -> LakeTable | None:
    """The table, if it is there, ours, and every file of it can be opened."""
    try:
        table = LakeTable.open(settings.LAKE_URL, kind, store=str(store))
        if table is not None:
            table.dataset().count_rows()
    except (ForeignLake, OSError):
        return None
    return table


def _what_is_lost(kept: bool) -> str:
    purged = LakeState.objects.get(pk=EVENTS.name).purged_to
    if kept:
        return "The events that were there are kept."
    LakeState.objects.filter(pk=EVENTS.name).update(purged_to=0, purged_before=None)
    if not purged:
        return "Nothing is lost but the earlier versions of people."
    return f"Events that had been purged (up to number {purged}) are lost: restore the lake's folder to have them."
