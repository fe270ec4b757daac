"""The lake of this installation: its tables, and what the operational store notes about them."""

import uuid

from django.conf import settings
from django.db.models import Q

from cdp.core.clock import now_us
from cdp.history.layout import wanted_columns
from cdp.history.models import LakeState
from cdp.history.reading import Ends
from cdp.lake.delta import EVENTS, PEOPLE, Kind, LakeTable
from cdp.lake.errors import LakeAhead, LakeLost
from cdp.lake.schema import events_schema, people_schema

KINDS = {kind.name: kind for kind in (EVENTS, PEOPLE)}


def store_id() -> uuid.UUID:
    """The id of this operational store; the lake bears it too."""
    found: uuid.UUID = LakeState.objects.values_list("store", flat=True).get(pk=EVENTS.name)
    return found


def open_table(kind: Kind, *, store: uuid.UUID) -> LakeTable | None:
    """The table as it is now; None before its first write. Raises ForeignLake."""
    return LakeTable.open(settings.LAKE_URL, kind, store=str(store))


def table_to_read(kind: Kind, *, store: uuid.UUID) -> LakeTable | None:
    """The table as it is now; None if there never was one. Raises ForeignLake, LakeLost."""
    found = open_table(kind, store=store)
    if found is None and LakeState.objects.filter(pk=kind.name, position__isnull=False).exists():
        raise LakeLost(
            f"The table {kind.name} of the lake at {settings.LAKE_URL} is gone. Restore it, or make it anew from what"
            " the operational store has: manage.py lake rebuild"
        )
    return found


def table_to_write(kind: Kind, *, store: uuid.UUID) -> LakeTable:
    """The table as it is now, made if there never was one. Under its lease. Raises ForeignLake, LakeLost."""
    found = table_to_read(kind, store=store)
    if found is not None:
        return found
    schema = events_schema() if kind is EVENTS else people_schema(wanted_columns().values())
    LakeTable.create(settings.LAKE_URL, kind, schema, store=str(store))
    return table_to_write(kind, store=store)


def check_not_ahead(ends: Ends, *, events: int, people: int) -> None:
    """Raise LakeAhead when a table's position lies beyond the end of the operational store.

    New events would get numbers that the lake believes to have.
    """
    if events > ends.event or people > ends.fence:
        raise LakeAhead(
            "The lake is ahead of the operational store, which seems to have been restored from an older backup. Take"
            " out of the lake what came after it with: manage.py lake rebuild",
            details={"events": [events, ends.event], "people": [people, ends.fence]},
        )


def note(table: LakeTable, **also: object) -> None:
    """Write down what the table looks like now, for health and the console; an earlier error is over."""
    files = table.files()
    LakeState.objects.filter(pk=table.kind.name).update(
        position=table.position,
        rows=sum(file.rows for file in files),
        files=len(files),
        bytes=sum(file.bytes for file in files),
        error="",
        error_at=None,
        **also,
    )


def note_flushed(name: str, *, now: int | None = None) -> None:
    """Nothing waits for the table."""
    LakeState.objects.filter(pk=name).update(flushed_at=now or now_us())


def note_expiry(at: int | None) -> None:
    """A trait in the lake, or about to be there, runs out `at` (µs)."""
    if at is not None:
        later = Q(next_expiry=None) | Q(next_expiry__gt=at)
        LakeState.objects.filter(later, pk=PEOPLE.name).update(next_expiry=at)
