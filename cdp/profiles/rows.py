"""Profiles and merges as the pipeline reads and writes them: set-based, under the processing fence."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import msgspec

from cdp.core.bulk import Database, Table
from cdp.core.ids import uuid7

_NEW = Table(
    "profiles_profile",
    {
        "updated_at": "bigint",
        "first_seen": "bigint",
        "last_seen": "bigint",
        "event_count": "integer",
        "purchase_count": "integer",
        "first_purchase": "bigint",
        "last_purchase": "bigint",
        "revenue": "text",
        "touched": "bigint",
        "described": "bigint",
        "id": "bigint",
        "public_id": "uuid",
        "person_id": "bigint",
        "created_at": "bigint",
    },
)
_COUNTERS = Table("profiles_profile", dict(list(_NEW.columns.items())[:11]))
MERGES = Table(
    "profiles_merge",
    {
        "public_id": "uuid",
        "target_id": "bigint",
        "source_id": "bigint",
        "cause": "text",
        "strategy": "text",
        "active": "boolean",
        "created_at": "bigint",
        "fence": "bigint",
        "event": "bytea",
        "via_target": "bytea",
        "via_source": "bytea",
        "actor": "text",
    },
)


@dataclass(slots=True)
class ProfileRow:
    """A profile's counters. Times in microseconds; `revenue` is a sum per currency in 1/10,000 units."""

    id: int
    first_seen: int
    last_seen: int
    event_count: int = 0
    purchase_count: int = 0
    first_purchase: int | None = None
    last_purchase: int | None = None
    revenue: dict[str, int] | None = None
    described: int = 0

    def see(self, ts: int) -> None:
        """Count an event at `ts`."""
        self.event_count += 1
        self.first_seen = min(self.first_seen, ts)
        self.last_seen = max(self.last_seen, ts)

    def buy(self, ts: int, amount: int, currency: str) -> None:
        """Count a purchase at `ts` of `amount` in 1/10,000 units of `currency`."""
        self.purchase_count += 1
        self.first_purchase = ts if self.first_purchase is None else min(self.first_purchase, ts)
        self.last_purchase = ts if self.last_purchase is None else max(self.last_purchase, ts)
        revenue = self.revenue = self.revenue or {}
        revenue[currency] = revenue.get(currency, 0) + amount


def load_profiles(db: Database, ids: Iterable[int]) -> dict[int, ProfileRow]:
    """The counters of the profiles `ids`: one query."""
    rows = db.rows_in(
        "select id, first_seen, last_seen, event_count, purchase_count, first_purchase, last_purchase, revenue,"
        " described from profiles_profile where id {in}",
        ids,
        "bigint",
    )
    return {
        id_: ProfileRow(
            id_, first, last, events, purchases, bought_first, bought_last, msgspec.json.decode(revenue), described
        )
        for id_, first, last, events, purchases, bought_first, bought_last, revenue, described in rows
    }


def store_profiles(
    db: Database,
    rows: Iterable[ProfileRow],
    *,
    born: Mapping[int, int],
    moved: Mapping[int, int],
    described: Set[int],
    fence: int,
    now: int,
) -> None:
    """Write counters and new profiles, and move whole people: three queries.

    `born` gives the person of each profile that is new; `moved` old person → the person that it became part of;
    `described` are the profiles whose traits changed. `fence` is the number under which this is written.
    """
    new, known = [], []
    for row in rows:
        counters = (
            now,
            row.first_seen,
            row.last_seen,
            row.event_count,
            row.purchase_count,
            row.first_purchase,
            row.last_purchase,
            msgspec.json.encode(row.revenue or {}).decode(),
            fence,
            fence if row.id in described or row.id in born else row.described,
            row.id,
        )
        if row.id in born:
            new.append((*counters, uuid7(now), born[row.id], now))
        else:
            known.append(counters)
    db.insert_and_update(_NEW, new, _COUNTERS, known)
    move_people(db, moved, fence=fence)


def move_people(db: Database, moved: Mapping[int, int], *, fence: int) -> None:
    """Give every profile of the people that are keys the person that is the value: one query.

    All profiles of the people that result count as described under `fence`: what is known of each is more now.
    """
    pairs = [(final, person) for person, final in {**moved, **{final: final for final in moved.values()}}.items()]
    if db.postgres and pairs:
        finals, persons = zip(*pairs, strict=True)
        db.execute(
            "update profiles_profile p set person_id = k.final, touched = ?, described = ?"
            " from unnest(?::bigint[], ?::bigint[]) k(final, person) where p.person_id = k.person",
            (fence, fence, list(finals), list(persons)),
        )
    elif pairs:
        db.many(
            "update profiles_profile set person_id = ?, touched = ?, described = ? where person_id = ?",
            [(final, fence, fence, person) for final, person in pairs],
        )
