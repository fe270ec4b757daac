"""Deleted people leave the lake for good: their rows, and the files that held them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cdp.history.engine import local_engine
from cdp.history.lease import lake_lease
from cdp.history.models import LakeState
from cdp.history.reading import database, ends
from cdp.history.tables import note, open_table, store_id
from cdp.lake.delta import EVENTS, PEOPLE, Kind, LakeTable

if TYPE_CHECKING:
    import pyarrow as pa

_DELETED = "select profile_id from profiles_deletedprofile where deleted_in > ? and deleted_in <= ?"


def erase_deleted(*, also: Iterable[int] = ()) -> int:
    """Remove every profile deleted since the last time from both tables, and those of `also` whenever they were.

    Returns the rows that went. Until then readers leave them out. A version of another person that once had the profile
    goes too. Raises LakeBusy and Overtaken; the next run goes on where this one stopped.
    """
    wanted = frozenset(also)
    return _erase(EVENTS, wanted) + _erase(PEOPLE, wanted)


def _erase(kind: Kind, also: frozenset[int]) -> int:
    upto = ends(database()).fence
    if not also and not _deleted(LakeState.objects.get(pk=kind.name).erased, upto):
        return 0
    with lake_lease(kind.name) as held:
        profiles = sorted({*_deleted(LakeState.objects.get(pk=kind.name).erased, upto), *also})
        table = open_table(kind, store=store_id())
        gone = 0
        if table is not None and profiles:
            keys = _events_of(profiles) if kind is EVENTS else _versions_of(table, profiles)
            gone = table.remove(keys, table.position)
            held.renew()
            table.vacuum(at_once=True)
            note(table)
        LakeState.objects.filter(pk=kind.name).update(erased=upto)
        return gone


def _deleted(after: int, upto: int) -> list[int]:
    return [row[0] for row in database().rows(_DELETED, (after, upto))]


def _events_of(profiles: list[int]) -> "pa.Table":
    import pyarrow as pa

    return pa.table({"profile": pa.array(profiles, pa.int64())})


def _versions_of(table: LakeTable, profiles: list[int]) -> "pa.Table":
    """Every version of a person that is or has one of `profiles`, by (person, version)."""
    import pyarrow as pa

    session = local_engine().session()
    try:
        rows = session.rows("rows", table.dataset())
        deleted = session.rows("deleted", pa.table({"profile": pa.array(profiles, pa.int64())}))
        having = rows.select("person", "version", profile=rows.fragments.unnest()).semi_join(deleted, "profile")
        being = rows.select("person", "version").semi_join(deleted, [("person", "profile")])
        found = having.select("person", "version").union(being).distinct()
        return pa.Table.from_batches(list(session.run(found, seconds=3600)), session.schema(found))
    finally:
        session.close()
