"""Small worlds for the tests of measures: people and events as plain rows, and as the tables that an engine reads."""

import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa

from cdp.core.clock import DAY
from cdp.lake.tables import Tables

NOW = 1_767_225_600_000_000
TYPES = ("PURCHASE", "PAGE_VIEW", "EMAIL_OPEN", "LOGIN", "CUSTOM", "PROFILE_UPDATE")
_MAPS = {
    "num": pa.float64(),
    "text": pa.string(),
    "flag": pa.bool_(),
    "time": pa.int64(),
    "list": pa.list_(pa.string()),
}
EVENTS = pa.schema(
    [
        ("profile", pa.int64()),
        ("type", pa.string()),
        ("call", pa.int8()),
        ("ts", pa.int64()),
        ("p_currency", pa.string()),
        ("p_amount", pa.decimal128(18, 4)),
    ]
)
PEOPLE = pa.schema(
    [
        ("person", pa.int64()),
        ("created", pa.int64()),
        ("t_plan", pa.string()),
        ("t_age", pa.float64()),
        *[(name, pa.map_(pa.string(), kind)) for name, kind in _MAPS.items()],
        ("expires", pa.map_(pa.string(), pa.int64())),
        ("consents", pa.map_(pa.string(), pa.int64())),
    ]
)


@dataclass
class World:
    """People by id (each a row without its id), events as rows, and the people whom moved fragments belong to."""

    people: dict[int, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    moved: dict[int, int] = field(default_factory=dict)

    def person(self, id_: int, **row: Any) -> None:
        """Adds a person."""
        self.people[id_] = {"created": NOW - 400 * DAY, **row}

    def event(
        self, profile: int, type_: str, ago: float, amount: str | None = None, currency: str | None = "EUR"
    ) -> None:
        """Adds an event `ago` days before NOW."""
        self.events.append(
            {
                "profile": profile,
                "type": type_,
                "call": 2 if type_ == "PROFILE_UPDATE" else 1,
                "ts": NOW - int(ago * DAY),
                "p_currency": currency if type_ == "PURCHASE" else None,
                "p_amount": None if amount is None else Decimal(amount),
            }
        )

    def of(self, person: int) -> list[dict[str, Any]]:
        """The events of a person up to NOW."""
        return [e for e in self.events if e["ts"] <= NOW and self.moved.get(e["profile"], e["profile"]) == person]

    def arrow(self) -> dict[str, pa.Table]:
        """The tables as Arrow."""
        rows = [{"person": id_, **dict.fromkeys(PEOPLE.names[2:]), **row} for id_, row in self.people.items()]
        for row in rows:
            for name in (*_MAPS, "expires", "consents"):
                row[name] = list((row[name] or {}).items())
        moved = [{"profile": profile, "person": person} for profile, person in self.moved.items()]
        return {
            "people": pa.Table.from_pylist(rows, PEOPLE),
            "events": pa.Table.from_pylist(self.events, EVENTS),
            "moved": pa.Table.from_pylist(moved, pa.schema([("profile", pa.int64()), ("person", pa.int64())])),
            "members": pa.Table.from_pylist([], pa.schema([("segment", pa.string()), ("person", pa.int64())])),
        }

    def tables(self) -> Tables:
        """The tables for DuckDB, each an in-memory table."""
        return Tables(**{name: ibis.memtable(table) for name, table in self.arrow().items()})


def random_world(seed: int, *, people: int = 60, events: int = 400) -> World:
    """A world with ties, several currencies, refunds, merged people, events in the future and people without any."""
    chance = random.Random(seed)
    world = World()
    for id_ in range(1, people + 1):
        facts: dict[str, Any] = {"num": {}, "text": {}, "flag": {}, "list": {}, "expires": {}, "consents": {}}
        for number in range(chance.randrange(0, 6)):
            facts["text"][f"key{number}"] = "x"
            if chance.random() < 0.3:
                facts["expires"][f"key{number}"] = NOW + chance.choice((-1, 0, 1)) * DAY
        if chance.random() < 0.5:
            facts["num"]["size"] = chance.random()
            facts["consents"]["MARKETING_EMAIL"] = chance.choice((-1, NOW, 2**63 - 1))
        world.person(id_, t_plan=chance.choice((None, "pro")), t_age=chance.choice((None, 41.0)), **facts)
    for fragment in range(people + 1, people + 10):
        world.moved[fragment] = chance.randrange(1, people + 1)
    ages = [0.0, 14.0, 30.0, 90.0, 180.0, 365.0, -0.5]
    for _ in range(events):
        profile = (
            chance.randrange(1, people * 4 // 5) if chance.random() < 0.9 else chance.randrange(people, people + 10)
        )
        ago = chance.choice(ages) if chance.random() < 0.2 else chance.random() * 500
        if chance.random() < 0.4:
            amount = chance.choice(
                (None, "10.0000", "19.9900", f"{chance.randrange(1, 900)}.{chance.randrange(10):04}", "-5.0000")
            )
            world.event(profile, "PURCHASE", ago, amount, chance.choice(("EUR", "EUR", "USD", None)))
        else:
            world.event(profile, chance.choice(TYPES[1:]), ago)
    return world
