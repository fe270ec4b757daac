"""Worlds for the tests of rules: people and events as plain dictionaries, and the same as tables of an engine.

A person: `person, created, traits, expires, consents`; a trait is a number, a text, a truth value or a list of texts.
An event: `profile, type, event, ts, properties`. `moved`: fragment → person. `members`: segment → people.
"""

from dataclasses import dataclass, field
from typing import Any

import ibis
import pyarrow as pa

from cdp.core.clock import parse_time
from cdp.lake.tables import Tables

TYPED_TRAITS = {"age": "number", "plan": "text", "vip": "flag", "renewal": "time", "tags": "list"}
"""Catalogued traits: these have a column."""


@dataclass(frozen=True)
class Typed:
    """A typed column of a property."""

    column: str
    kind: str


TYPED_PROPERTIES = {"revenue": Typed("p_revenue", "number"), "category": Typed("p_category", "text")}
ARROW = {
    "number": pa.float64(),
    "text": pa.string(),
    "flag": pa.bool_(),
    "time": pa.int64(),
    "list": pa.list_(pa.string()),
}
MAPS = {"number": "num", "text": "text", "flag": "flag", "time": "time", "list": "list"}
_MAP_FIELDS = [(column, pa.map_(pa.string(), ARROW[kind])) for kind, column in MAPS.items()]
PEOPLE = pa.schema(
    [
        ("person", pa.int64()),
        ("created", pa.int64()),
        *((f"t_{key}", ARROW[kind]) for key, kind in TYPED_TRAITS.items()),
        *_MAP_FIELDS,
        ("expires", pa.map_(pa.string(), pa.int64())),
        ("consents", pa.map_(pa.string(), pa.int64())),
    ]
)
EVENTS = pa.schema(
    [
        ("profile", pa.int64()),
        ("call", pa.int8()),
        ("type", pa.string()),
        ("event", pa.string()),
        ("ts", pa.int64()),
        ("p_currency", pa.string()),
        ("p_amount", pa.decimal128(18, 4)),
        *((typed.column, ARROW[typed.kind]) for typed in TYPED_PROPERTIES.values()),
        *_MAP_FIELDS,
    ]
)


@dataclass
class World:
    """One moment of history."""

    people: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    moved: dict[int, int] = field(default_factory=dict)
    members: dict[str, set[int]] = field(default_factory=dict)

    def arrow(self) -> dict[str, pa.Table]:
        """The tables as Arrow, each value in the column that the lake would put it into."""
        people = [
            {
                "person": one["person"],
                "created": one["created"],
                "expires": list(one["expires"].items()),
                "consents": list(one["consents"].items()),
                **_columns(one["traits"], {key: Typed(f"t_{key}", kind) for key, kind in TYPED_TRAITS.items()}),
            }
            for one in self.people
        ]
        events = [
            {
                "profile": one["profile"],
                "call": 1,
                "type": one["type"],
                "event": one["event"],
                "ts": one["ts"],
                **_columns(one["properties"], TYPED_PROPERTIES),
            }
            for one in self.events
        ]
        moved = [{"profile": profile, "person": person} for profile, person in self.moved.items()]
        members = [{"segment": key, "person": one} for key, ids in self.members.items() for one in sorted(ids)]
        return {
            "people": pa.Table.from_pylist(people, PEOPLE),
            "events": pa.Table.from_pylist(events, EVENTS),
            "moved": pa.Table.from_pylist(moved, pa.schema([("profile", pa.int64()), ("person", pa.int64())])),
            "members": pa.Table.from_pylist(members, pa.schema([("segment", pa.string()), ("person", pa.int64())])),
        }

    def tables(self) -> Tables:
        """The tables of any engine, in memory."""
        return Tables(**{name: ibis.memtable(table) for name, table in self.arrow().items()})


def _columns(values: dict[str, Any], typed: dict[str, Typed]) -> dict[str, Any]:
    """As `cdp.lake.values` spreads a document: a value of another kind than its column's goes to a map."""
    row: dict[str, Any] = {column: [] for column in MAPS.values()} | {one.column: None for one in typed.values()}
    for key, value in values.items():
        kinds = [_kind(value)]
        if kinds == ["text"] and (moment := _time(value)) is not None:
            if key in typed and typed[key].kind == "time":
                row[typed[key].column] = moment
                continue
            row["time"].append((key, moment))
        for kind in kinds:
            if key in typed and typed[key].kind == kind:
                row[typed[key].column] = value
            else:
                row[MAPS[kind]].append((key, value))
    return row


def _time(text: str) -> int | None:
    return parse_time(text) if text[4:5] == "-" and text[:4].isdigit() else None


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, float):
        return "number"
    return "list" if isinstance(value, list) else "text"
