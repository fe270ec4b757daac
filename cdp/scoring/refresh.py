"""Computing computed traits: one pass over history for all of them, and only what changed is written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction

from cdp.core.bulk import Database, Table
from cdp.core.json import encode
from cdp.history.reading import database
from cdp.history.snapshot import snapshot
from cdp.lake.marks import Now
from cdp.lake.rules.tree import Aggregate
from cdp.traits.catalogue import catalogue
from cdp.traits.computed import aggregates

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from cdp.lake.tables import Tables

CHUNK = 5000
DIGITS = 6
"""Numbers are rounded: engines add up in any order, and what has not changed must not be written."""
_VALUES = Table(
    "traits_computedvalue",
    {"trait_id": "bigint", "person_id": "bigint", "value": "text", "computed_at": "bigint"},
    key=("trait_id", "person_id"),
)
_BETWEEN = """
    select person_id, trait_id, value from traits_computedvalue
    where person_id > ? and person_id <= ? and trait_id {in}"""
_DELETE = "delete from traits_computedvalue where trait_id = ? and person_id {in}"
_OF = "select person_id, trait_id, value from traits_computedvalue where person_id {in}"
_LAST = 2**63 - 1
Kept = dict[tuple[int, int], str]


def refresh_computed(people: Sequence[int], *, now: int) -> int:
    """Bring the values of `people` (ids of profiles) up to date at `now` (µs); returns how many values changed.

    One pass for all traits. An id that is no person's any more loses its values. Queries: three and one per trait.
    """
    known = aggregates()
    ids = {key: trait.id for key, trait in catalogue().computed.items()}
    if not known or not people:
        return 0
    wanted: Kept = {}
    for batch in _values(known, now=now, people=people):
        wanted |= _texts(batch, ids)
    db = database()
    rows = db.rows_in(_OF, people, "bigint")
    there = {(trait, person): value for person, trait, value in rows if trait in set(ids.values())}
    return _write(wanted, there, now=now)


def sweep_computed(keys: Sequence[str], *, now: int) -> int:
    """Bring the values of the traits `keys` up to date for everybody at `now`; returns how many values changed.

    One pass, in constant memory: people come in the order of their ids, and each stretch of ids is compared with what
    is kept of it. So values of people who are gone go too.
    """
    known = {key: aggregate for key, aggregate in aggregates().items() if key in keys}
    ids = {key: catalogue().computed[key].id for key in known}
    if not known:
        return 0
    changed, done = 0, 0
    for batch in _values(known, now=now, people=None):
        upto = batch.column("person")[-1].as_py()
        changed += _write(_texts(batch, ids), _kept(done, upto, ids), now=now)
        done = upto
    return changed + _write({}, _kept(done, _LAST, ids), now=now)


def preview_computed(aggregate: Aggregate, people: Sequence[int], *, now: int) -> dict[int, Any]:
    """What a trait would be for these people: nothing is written. People without a value are left out."""
    found: dict[int, Any] = {}
    for batch in _values({"value": aggregate}, now=now, people=people):
        values = zip(batch.column("person").to_pylist(), batch.column("value").to_pylist(), strict=True)
        found |= {person: plain(value) for person, value in values if value is not None}
    return found


def plain(value: Any) -> Any:
    """A value as JSON shows it: rounded, whole numbers without a point."""
    if isinstance(value, float):
        rounded = round(value, DIGITS)
        return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
    return value


def _values(known: Mapping[str, Aggregate], *, now: int, people: Sequence[int] | None) -> "Iterator[pa.RecordBatch]":
    """Batches of `person` and a column per trait, in the order of people."""
    import pyarrow as pa

    from cdp.lake.rules.compile import values_of

    zone = settings.TIME_ZONE
    with snapshot() as snap:
        only = None if people is None else snap.bring("only", pa.table({"person": pa.array(people, pa.int64())}))

        def values(tables: "Tables", at: Now) -> "ir.Table":
            return values_of(known, tables, now=at, zone=zone, only=only).order_by("person")

        key = ("values", zone, only is None, tuple(known.items()))
        for batch in snap.ask_batches(key, values, now=now):
            for start in range(0, batch.num_rows, CHUNK):
                yield batch.slice(start, CHUNK)


def _texts(batch: "pa.RecordBatch", ids: Mapping[str, int]) -> Kept:
    people = batch.column("person").to_pylist()
    found: Kept = {}
    for key, trait in ids.items():
        for person, value in zip(people, batch.column(key).to_pylist(), strict=True):
            if value is not None:
                found[trait, person] = encode(plain(value)).decode()
    return found


def _kept(after: int, upto: int, ids: Mapping[str, int]) -> Kept:
    rows = database().rows_in(_BETWEEN, list(ids.values()), "bigint", (after, upto))
    return {(trait, person): value for person, trait, value in rows}


def _write(wanted: Kept, there: Kept, *, now: int) -> int:
    """Make `there` what is `wanted`, in one transaction; returns how many values changed."""
    new = [(trait, person, text, now) for (trait, person), text in wanted.items() if there.get((trait, person)) != text]
    gone: dict[int, list[int]] = {}
    for trait, person in there.keys() - wanted.keys():
        gone.setdefault(trait, []).append(person)
    if not new and not gone:
        return 0
    with connection.wrap_database_errors, transaction.atomic():
        db: Database = database()
        for start in range(0, len(new), CHUNK):
            db.upsert(_VALUES, new[start : start + CHUNK])
        for trait, people in gone.items():
            db.execute_in(
                "delete from traits_computedvalue where trait_id = ? and person_id {in}", people, "bigint", (trait,)
            )
    return len(new) + sum(map(len, gone.values()))
