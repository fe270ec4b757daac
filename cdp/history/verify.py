"""Proving the lake: it has every event that it should have, once, and nothing personal in its files."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cdp.core.errors import NotFound
from cdp.history.reading import database, one_moment
from cdp.history.tables import open_table, store_id
from cdp.lake.delta import EVENTS, PEOPLE, LakeTable
from cdp.lake.looks import kept_text, numbered_key, personal_key, personal_number

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[str, int, int], None]
_CHUNK = 50_000
_SHOWN = 20
_TIMES = frozenset({"time", "expires", "consents"})


@dataclass(slots=True)
class Verdict:
    """What was found: numbers, and the problems as sentences without values (the first of each sort)."""

    events: int = 0
    versions: int = 0
    people: int = 0
    values: int = 0
    problems: list[str] = field(default_factory=list)


def verify(*, progress: Progress = lambda *_: None) -> Verdict:
    """Compare ids and digests with the operational store, and decode every column of every file.

    Rows that wait for the next flush are not counted. Raises NotFound when there is no lake yet, ForeignLake.
    """
    verdict = Verdict()
    store = store_id()
    events, people = open_table(EVENTS, store=store), open_table(PEOPLE, store=store)
    if events is None and people is None:
        raise NotFound("There is no lake yet: manage.py lake flush writes the first rows.")
    if events is not None:
        _count_events(events, verdict, progress)
        _look_at_values(events, verdict, progress)
    if people is not None:
        _count_people(people, verdict)
        _look_at_values(people, verdict, progress)
    return verdict


def _count_events(table: LakeTable, verdict: Verdict, progress: Progress) -> None:
    import numpy as np
    import pyarrow.compute as pc

    stored: pa.Table = table.dataset().to_table(columns=["id", "digest"]).sort_by("id").combine_chunks()
    verdict.events = stored.num_rows
    for column in ("id", "digest"):
        doubled = stored.num_rows - pc.count_distinct(stored[column]).as_py()
        if doubled:
            verdict.problems.append(f"{doubled} events are there more than once (by {column}).")
    ids = stored["id"].to_numpy()
    position = table.position
    beyond = int((ids > position).sum())
    if beyond:
        verdict.problems.append(f"{beyond} events lie beyond the position {position}.")
    missing = 0
    for hot in _hot_events(position, progress):
        place = np.searchsorted(ids, hot["id"].to_numpy()).clip(max=max(0, len(ids) - 1))
        if not len(ids):
            missing += hot.num_rows
            continue
        found = stored.take(place)
        same = pc.and_(pc.equal(found["id"], hot["id"]), pc.equal(found["digest"], hot["digest"]))
        missing += hot.num_rows - pc.sum(same).as_py()
    if missing:
        verdict.problems.append(f"{missing} events of the operational store up to number {position} are not in it.")


def _hot_events(upto: int, progress: Progress) -> "Iterator[pa.Table]":
    """Ids and digests of the operational store up to the id `upto`."""
    import pyarrow as pa

    last = 0
    sql = "select id, digest from events_event where id > ? and id <= ? order by id limit ?"
    while rows := database().rows(sql, (last, upto, _CHUNK)):
        last = rows[-1][0]
        progress("hot events", last, upto)
        ids, digests = zip(*rows, strict=True)
        yield pa.table({"id": pa.array(ids, pa.int64()), "digest": pa.array(map(bytes, digests), pa.binary())})


def _count_people(table: LakeTable, verdict: Verdict) -> None:
    import pyarrow.compute as pc

    stored: pa.Table = table.dataset().to_table(columns=["person", "version", "gone"])
    verdict.versions = stored.num_rows
    last = stored.group_by("person").aggregate([("version", "max")])
    living = stored.filter(pc.invert(stored["gone"])).join(
        last, ["person", "version"], ["person", "version_max"], join_type="left semi"
    )
    verdict.people = living.num_rows
    distinct = stored.group_by(["person", "version"]).aggregate([]).num_rows
    if distinct != stored.num_rows:
        verdict.problems.append(f"{stored.num_rows - distinct} versions of people are there more than once.")
    with one_moment() as db:
        rows = db.rows("select id, person_id, described from profiles_profile")
    newer = {person for _, person, described in rows if described > table.position}
    known = {person for id_, person, _ in rows if id_ == person} - newer
    lacking = len(known - set(living["person"].to_pylist()))
    if lacking:
        verdict.problems.append(f"{lacking} people of the operational store are not in the lake.")


def _look_at_values(table: LakeTable, verdict: Verdict, progress: Progress) -> None:
    """Every value, and every key of a map, as the personal filter would judge it now."""
    total = sum(file.rows for file in table.files())
    done = 0
    found: Counter[str] = Counter()
    for batch in table.dataset().to_batches():
        for name in batch.schema.names:
            for key, value in _values(name, batch[name]):
                verdict.values += 1
                if looks_personal(key, value):
                    found[key] += 1
        done += batch.num_rows
        progress(f"values of {table.kind.name}", done, total)
    for key, count in sorted(found.items())[:_SHOWN]:
        shown = key if kept_text(key) is not None else "a name that looks personal itself"
        verdict.problems.append(f"{count} values of {shown!r} in {table.kind.name} look personal.")


def looks_personal(key: str, value: object) -> bool:
    """Whether what stands under `key` (blank: no name of a client's) should not be in the lake."""
    if kept_text(key) is None:
        return True
    if isinstance(value, str):
        return personal_key(key) or kept_text(value, numbered=numbered_key(key)) != value
    if isinstance(value, bool):
        return False
    return personal_key(key) or (isinstance(value, int | float) and personal_number(value))


def _values(name: str, column: Any) -> Iterator[tuple[str, object]]:
    """(key, value) of a column: its own name where it is a client's, the keys of a map; times are left out."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_map(kind) and name not in _TIMES:
        for key, item in zip(column.keys.to_pylist(), column.items.to_pylist(), strict=True):
            for value in item if isinstance(item, list) else [item]:
                yield key, value
    elif not pa.types.is_map(kind) and name[:2] in ("p_", "t_"):
        for value in column.drop_null().to_pylist():
            yield name[2:], value
    elif name in ("type", "event"):
        for value in column.drop_null().to_pylist():
            yield "", value
