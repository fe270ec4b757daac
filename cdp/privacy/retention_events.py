"""Events that are older than the policies allow: counted, or deleted from the operational store and from the lake."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cdp.core.bulk import Database
from cdp.core.clock import DAY
from cdp.history.lease import lake_lease
from cdp.history.reading import database, one_moment
from cdp.history.retain import Doomed, doomed_rows, remove_doomed
from cdp.history.tables import open_table, store_id
from cdp.history.tail import forget_tail
from cdp.lake.delta import EVENTS
from cdp.pipeline.lease import exclusive
from cdp.privacy.holds import COVERED, HELD_PROFILES, held_profiles
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention_match import Decisions, decisions, is_default
from cdp.privacy.retention_old import Old, Progress

CHUNK = 5000


@dataclass(slots=True)
class _Found:
    """`Old` by policy."""

    of: dict[int, Old] = field(default_factory=dict)

    def hot(self, policy: int, rows: int, oldest: int, *, alone: int) -> None:
        """Count rows of the operational store, of which `alone` are not in the lake."""
        old = self.of[policy]
        old.hot += rows
        old.add(alone, oldest)

    def lake(self, doomed: Doomed) -> None:
        """Count rows of the lake."""
        for policy, rows in doomed.rows.items():
            old = self.of[policy]
            old.lake += rows
            old.add(rows, doomed.oldest[policy])


def count_old(policies: Sequence[RetentionPolicy], deleting: Sequence[RetentionPolicy], *, now: int) -> dict[int, Old]:
    """What would go at `now` (µs) by each of `deleting` (by primary key) when all of `policies` decide."""
    decided, found = decisions(policies, deleting=deleting, now=now), _Found({one.pk: Old() for one in deleting})
    if decided.latest is None:
        return found.of
    table = open_table(EVENTS, store=store_id())
    position = EVENTS.start if table is None else table.position
    with one_moment() as db:
        expression, params = decided.sql(postgres=db.postgres)
        rows = db.rows(
            f"with recursive {COVERED} select policy, count(*), min(ts), coalesce(sum(alone), 0) from ("
            f" select {expression} policy, e.ts, case when e.id > ? then 1 else 0 end alone from events_event e"
            f" where e.ts < ? and e.profile_id not in ({HELD_PROFILES})) judged"
            " where policy > 0 group by policy",
            (*params, position, decided.latest),
        )
        for policy, count, oldest, alone in rows:
            found.hot(policy, count, oldest, alone=int(alone))
        sessions = _for_sessions(policies, deleting)
        if sessions is not None:
            sql, given = _sessions_sql(db, decided, sessions, now=now)
            found.of[sessions.pk].sessions = db.rows(f"{sql} select count(*) from old_sessions", given)[0][0]
        spared = held_profiles(db)
    found.lake(doomed_rows(table, decided.lake, spared, before=decided.latest))
    return found.of


def delete_old(
    policies: Sequence[RetentionPolicy],
    deleting: Sequence[RetentionPolicy],
    *,
    now: int,
    resumed: bool = False,
    progress: Progress = lambda *_: None,
) -> dict[int, Old]:
    """Delete what `count_old` counts: first hot events, 5,000 in a transaction under the fence, then the lake's.

    Holds the lease on the lake's events. Killed anywhere, the next run goes on; tell it so by `resumed`. Raises
    LakeBusy, Overtaken.
    """
    decided, found = decisions(policies, deleting=deleting, now=now), _Found({one.pk: Old() for one in deleting})
    if decided.latest is None:
        return found.of
    with lake_lease(EVENTS.name) as held:
        table = open_table(EVENTS, store=store_id())
        position = EVENTS.start if table is None else table.position
        total = database().rows("select count(*) from events_event where ts < ?", (decided.latest,))[0][0]
        done, after = 0, (-(2**62), 0)
        while rows := _delete_some(decided, after):
            held.renew()
            after = rows[-1][1:3]
            for policy, ts, id_ in rows:
                found.hot(policy, 1, ts, alone=int(id_ > position))
            done += len(rows)
            progress("events of the operational store", done, max(total, done))
        progress("events of the operational store", total, total)
        forget_tail()
        sessions = _for_sessions(policies, deleting)
        if sessions is not None:
            found.of[sessions.pk].sessions = _delete_sessions(decided, sessions, now=now)
        db = database()  # asked by the thread that writes the lake, while this one waits for it
        found.lake(
            remove_doomed(
                held, decided.lake, lambda: held_profiles(db), before=decided.latest, resumed=resumed, progress=progress
            )
        )
    return found.of


def _delete_some(decided: Decisions, after: tuple[int, int]) -> list[tuple[int, int, int]]:
    """Delete the next hot events behind the place (time, id); gives (policy, time, id) of each."""
    with exclusive() as db:
        expression, params = decided.sql(postgres=db.postgres)
        rows = db.rows(
            f"with recursive {COVERED} select policy, ts, id from (select {expression} policy, e.ts, e.id"
            f" from events_event e where e.ts < ? and (e.ts, e.id) > (?, ?)"
            f" and e.profile_id not in ({HELD_PROFILES})) judged where policy > 0 order by ts, id limit ?",
            (*params, decided.latest, *after, CHUNK),
        )
        db.execute_in("delete from events_event where id {in}", [row[2] for row in rows], "bigint")
        return [(row[0], row[1], row[2]) for row in rows]


def _for_sessions(policies: Sequence[RetentionPolicy], deleting: Sequence[RetentionPolicy]) -> RetentionPolicy | None:
    """The default that decides, if it is one of `deleting`: sessions go by it, as they bear neither name nor source."""
    defaults = [one for one in policies if one.subject == RetentionPolicy.Subject.EVENTS and is_default(one)]
    decides = min(defaults, key=lambda one: (one.days, one.pk), default=None)
    return next((one for one in deleting if decides is not None and one.pk == decides.pk), None)


def _sessions_sql(db: Database, decided: Decisions, default: RetentionPolicy, *, now: int) -> tuple[str, list[Any]]:
    """`with … old_sessions`: those that ended before the default's time and of which no event stays."""
    expression, params = decided.sql(postgres=db.postgres)
    cutoff = now - default.days * DAY
    return (
        f"with recursive {COVERED}, old_sessions as (select s.id from events_session s"
        f" where s.last_day <= ? and s.last < ? and s.profile_id not in ({HELD_PROFILES}) and not exists ("
        "  select 1 from events_event e where e.profile_id = s.profile_id and e.session_id = s.id"
        f" and {expression} = 0))",
        [cutoff // DAY, cutoff, *params],
    )


def _delete_sessions(decided: Decisions, default: RetentionPolicy, *, now: int) -> int:
    deleted = 0
    while True:
        with exclusive() as db:
            sql, params = _sessions_sql(db, decided, default, now=now)
            ids = [row[0] for row in db.rows(f"{sql} select id from old_sessions limit ?", (*params, CHUNK))]
            deleted += db.execute_in("delete from events_session where id {in}", ids, "bigint")
        if not ids:
            return deleted
