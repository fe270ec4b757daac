"""What waits to reach the lake: cheap enough to ask every few seconds, and without touching the lake."""

from dataclasses import dataclass

from django.conf import settings

from cdp.core.clock import SECOND
from cdp.history.models import LakeState
from cdp.history.reading import database

_MANY = 1_000_000
_COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many rows wait (events: at most, above 100,000; people: a million at most) and since when the first has."""

    rows: int
    since: int | None

    def due(self, now: int, *, rows: int, age: int) -> bool:
        """Whether that is enough to flush: `rows` of them, or one that has waited `age` µs."""
        return self.rows >= rows or (self.rows > 0 and self.seconds(now) * SECOND >= age)

    def seconds(self, now: int) -> float:
        """How long the first of them has waited."""
        return 0.0 if self.since is None else max(0, now - self.since) / SECOND


def waiting_events(state: LakeState) -> Waiting:
    """The hot events above the position that was last seen: one query."""
    after = state.position or 0
    [(last, counted, since)] = database().rows(
        "select (select max(id) from events_event),"
        " (select count(*) from (select 1 from events_event where id > ? limit ?) e),"
        " (select received from events_event where id > ? order by id limit 1)",
        (after, _COUNTED, after),
    )
    return Waiting(counted if counted < _COUNTED else max(counted, last - after), since)


def waiting_people(state: LakeState) -> Waiting:
    """The profiles described, and those deleted, above the position that was last seen: one query."""
    after = -1 if state.position is None else state.position
    [(profiles, deleted, since)] = database().rows(
        "select (select count(*) from (select 1 from profiles_profile where described > ? limit ?) p),"
        " (select count(*) from profiles_deletedprofile where deleted_in > ?),"
        " (select updated_at from profiles_profile where described > ? order by described limit 1)",
        (after, _MANY, after, after),
    )
    return Waiting(profiles + deleted, since or state.flushed_at or 0) if profiles + deleted else Waiting(0, None)


def tables_to_flush(now: int) -> list[str]:
    """The names of the tables for which LAKE_FLUSH_ROWS wait, or something for LAKE_FLUSH_SECONDS: three queries."""
    states = LakeState.objects.in_bulk()
    waiting = {"events": waiting_events(states["events"]), "people": waiting_people(states["people"])}
    rows, age = settings.LAKE_FLUSH_ROWS, settings.LAKE_FLUSH_SECONDS * SECOND
    return [name for name, rest in waiting.items() if rest.due(now, rows=rows, age=age)]
