"""Events that only the lake has: what a timeline reads on with where the operational store ends."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from cdp.history.engine import local_engine
from cdp.history.models import LakeState
from cdp.history.tables import open_table, store_id
from cdp.lake.delta import EVENTS
from cdp.lake.engine import FilesGone
from cdp.lake.moment import event_files
from cdp.lake.schema import TYPED_PROPERTIES

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SECONDS = 60
_KEY_OF = {entry.column: key for key, entry in reversed(list(TYPED_PROPERTIES.items()))}
_CONTEXT = "context."


class Wanted(msgspec.Struct, frozen=True):
    """Which events: of these profiles (None: of all), before the place (time, id) of a page's end, of one type, name,
    source, in a span of time (µs, both ends included), with these row ids, or of this digest; None: any.
    """

    profiles: Sequence[int] | None = None
    before: tuple[int, int] | None = None
    type: str | None = None
    name: str | None = None
    sources: Sequence[int] | None = None
    start: int | None = None
    end: int | None = None
    ids: Sequence[int] | None = None
    digest: bytes | None = None


class OldKeys(msgspec.Struct, frozen=True):
    """(time, row id) of events, newest first, and how many there are in all."""

    keys: list[tuple[int, int]]
    total: int


class OldEvent(msgspec.Struct, frozen=True):
    """An event as the lake keeps it: without identifiers, session and what was personal."""

    id: int
    digest: bytes
    profile: int
    source: int | None
    call: int
    type: str
    name: str
    ts: int
    received: int
    properties: dict[str, Any]
    context: dict[str, Any]


def purged_before() -> int | None:
    """No event from this time (µs) on has been purged; None: none at all. One query."""
    found: int | None = LakeState.objects.values_list("purged_before", flat=True).get(pk=EVENTS.name)
    return found


def old_events(wanted: Wanted, *, limit: int) -> list[OldEvent]:
    """The newest `limit` events of the lake that are wanted and old enough to have been purged, newest first.

    Some of them may still be in the operational store too.
    """

    def newest(events: "ir.Table") -> "ir.Table":
        return events.order_by([events.ts.desc(), events.id.desc()]).limit(limit)

    return [_event(row) for row in _asked(wanted, newest)]


def old_keys(wanted: Wanted, *, besides: Sequence[int], limit: int) -> OldKeys:
    """The newest `limit` events that `old_events` would give, without those with the row ids `besides`."""

    def keys(events: "ir.Table") -> "ir.Table":
        others = events.select("ts", "id")
        if besides:
            others = others.filter(~others.id.isin(list(besides)))
        counted = others.mutate(total=others.count().over(ibis.window()))
        return counted.order_by([counted.ts.desc(), counted.id.desc()]).limit(limit)

    import ibis

    rows = _asked(wanted, keys)
    return OldKeys([(row["ts"], row["id"]) for row in rows], rows[0]["total"] if rows else 0)


def _asked(wanted: Wanted, question: "Callable[[ir.Table], ir.Table]") -> list[dict[str, Any]]:
    """The answer about the events that are wanted and old enough to have been purged."""
    horizon = purged_before()
    if horizon is None:
        return []
    try:
        return _read(wanted, horizon, question)
    except FilesGone:  # compacted and swept away meanwhile: the new files have the same rows
        return _read(wanted, horizon, question)


def _read(wanted: Wanted, horizon: int, question: "Callable[[ir.Table], ir.Table]") -> list[dict[str, Any]]:
    table = open_table(EVENTS, store=store_id())
    files = event_files(table)
    if not files.places:
        return []
    session = local_engine().session()
    try:
        asked = question(_filtered(session.files("events", files), wanted, horizon))
        return [row for batch in session.run(asked, seconds=_SECONDS) for row in batch.to_pylist()]
    finally:
        session.close()


def _filtered(events: "ir.Table", wanted: Wanted, horizon: int) -> "ir.Table":
    import ibis

    conditions = [events.ts < horizon]
    if wanted.profiles is not None:
        conditions.append(events.profile.isin(list(wanted.profiles)))
    if wanted.before is not None:
        ts, id_ = wanted.before
        conditions += [events.ts <= ts, (events.ts < ts) | (events.id < id_)]
    if wanted.type is not None:
        conditions.append(events.type == wanted.type)
    if wanted.name is not None:
        conditions.append(events.event == wanted.name)
    if wanted.sources is not None:
        conditions.append(events.source.isin(list(wanted.sources)))
    if wanted.ids is not None:
        conditions.append(events.id.isin(list(wanted.ids)))
    if wanted.digest is not None:
        conditions.append(events.digest == ibis.literal(wanted.digest, type="binary"))
    if wanted.start is not None:
        conditions.append(events.ts >= wanted.start)
    if wanted.end is not None:
        conditions.append(events.ts <= wanted.end)
    return events.filter(*conditions)


def _event(row: dict[str, Any]) -> OldEvent:
    flat: dict[str, Any] = {key: row[column] for column, key in _KEY_OF.items() if row[column] is not None}
    for column in ("num", "text", "flag", "list"):
        flat |= dict(row[column])
    said = {key: _whole(value) for key, value in flat.items()}
    facts = {key.removeprefix(_CONTEXT): value for key, value in said.items() if key.startswith(_CONTEXT)}
    return OldEvent(
        id=row["id"],
        digest=row["digest"],
        profile=row["profile"],
        source=row["source"],
        call=row["call"],
        type=row["type"],
        name=row["event"],
        ts=row["ts"],
        received=row["received"],
        properties=_nested({key: value for key, value in said.items() if not key.startswith(_CONTEXT)}),
        context=_nested(facts),
    )


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as objects again; a name that is a value already keeps its dots."""
    tree: dict[str, Any] = {}
    for key, value in sorted(flat.items()):
        *outer, last = key.split(".")
        place: Any = tree
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                break
        if isinstance(place, dict) and last not in place:
            place[last] = value
        else:
            tree[key] = value
    return tree
