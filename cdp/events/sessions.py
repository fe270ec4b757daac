"""Sessions: activity of one profile without a gap over 30 minutes, or what the client named (E8).

Placement is by event time, so a late event joins, extends or bridges the sessions that were there. A session that the
client named by an id holds all events with that id; one that was stopped takes nothing later than its end.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from cdp.core.bulk import Database, Table
from cdp.core.clock import DAY, MINUTE
from cdp.core.ids import uuid7

GAP = 30 * MINUTE

_NEW = Table(
    "events_session",
    {
        "started": "bigint",
        "last": "bigint",
        "stopped": "boolean",
        "event_count": "integer",
        "entry": "text",
        "id": "bigint",
        "public_id": "uuid",
        "profile_id": "bigint",
        "key": "bytea",
    },
)
_CHANGED = Table("events_session", dict(list(_NEW.columns.items())[:6]))
_SELECT = "select id, profile_id, key, started, last, stopped, event_count, entry from events_session"


@dataclass(slots=True, eq=False)
class SessionRow:
    """A session; `id` 0 until it is stored, `into` the session that took it in."""

    id: int
    profile_id: int
    key: bytes | None
    started: int
    last: int
    stopped: bool
    event_count: int
    entry: str
    changed: bool = False
    into: "SessionRow | None" = None

    def root(self) -> "SessionRow":
        """The session that this one is part of now."""
        row = self
        while row.into is not None:
            row = row.into
        return row


class Sessions:
    """The sessions of a micro-batch's profiles: load, then `place` each event, then `store`."""

    def __init__(self) -> None:
        self._timed: dict[int, list[SessionRow]] = defaultdict(list)
        self._named: dict[tuple[int, bytes], SessionRow] = {}
        self._stored: list[SessionRow] = []
        self._new: list[SessionRow] = []

    def load(self, db: Database, spans: Mapping[int, tuple[int, int]], keys: Mapping[bytes, bytes]) -> None:
        """Read the sessions near `spans` (profile → first and last event time) and those of `keys`: one query.

        `keys` maps the digest of a session id under every active key to the one under the newest.
        """
        low = min((span[0] for span in spans.values()), default=0) - GAP
        high = max((span[1] for span in spans.values()), default=0) + GAP
        near = f"{_SELECT} where key is null and last_day >= ? and last >= ? and started <= ? and profile_id {{in}}"
        named = f"{_SELECT} where key {{in}}"
        for row in db.rows_in_each([(near, spans, "bigint", (low // DAY, low, high)), (named, keys, "bytea", ())]):
            session = _session(row)
            self._stored.append(session)
            if session.key is None:
                self._timed[session.profile_id].append(session)
            else:
                self._named[session.profile_id, keys[session.key]] = session

    def place(self, profile_id: int, ts: int, *, key: bytes | None, context: Mapping[str, Any]) -> SessionRow:
        """The session of an event at `ts`; opened, extended or joined from two as needed."""
        if key is not None:
            session = self._named.get((profile_id, key))
            if session is None:
                session = self._named[profile_id, key] = self._open(profile_id, ts, key, context)
        else:
            near = [row for row in self._timed[profile_id] if _reaches(row, ts)]
            if not near:
                session = self._open(profile_id, ts, None, context)
                self._timed[profile_id].append(session)
            else:
                near.sort(key=lambda row: row.started)
                session = near[0]
                for later in near[1:]:
                    if not session.stopped:
                        self._join(session, later)
        if ts < session.started:
            session.started = ts
            session.entry = entry_of(context)
        session.last = max(session.last, ts)
        session.event_count += 1
        session.changed = True
        return session

    def assign_ids(self, db: Database) -> None:
        """Give the new sessions their ids: one query."""
        new = [row for row in self._new if row.into is None]
        for row, id_ in zip(new, db.new_ids("events_session", len(new)), strict=True):
            row.id = id_

    def store(self, db: Database) -> None:
        """Write what changed, after `assign_ids`: at most four queries."""
        gone = [row for row in self._stored if row.into is not None]
        new = [row for row in self._new if row.into is None]
        db.insert_and_update(
            _NEW,
            [(*_state(row), uuid7(), row.profile_id, row.key) for row in new],
            _CHANGED,
            [_state(row) for row in self._stored if row.into is None and row.changed],
        )
        if gone:
            _move_events(db, [(row.root().id, row.profile_id, row.id) for row in gone])
            db.execute_in("delete from events_session where id {in}", [row.id for row in gone], "bigint")

    def _open(self, profile_id: int, ts: int, key: bytes | None, context: Mapping[str, Any]) -> SessionRow:
        session = SessionRow(0, profile_id, key, ts, ts, False, 0, entry_of(context))
        self._new.append(session)
        return session

    def _join(self, earlier: SessionRow, later: SessionRow) -> None:
        earlier.last = max(earlier.last, later.last)
        earlier.event_count += later.event_count
        earlier.stopped = later.stopped
        later.into = earlier
        self._timed[earlier.profile_id].remove(later)


def entry_of(context: Mapping[str, Any]) -> str:
    """How a session began, as JSON: path, referring host and campaign; the query of no address is kept."""
    entry: dict[str, str] = {}
    page = context.get("page")
    if isinstance(page, Mapping):
        path = page.get("path") or urlsplit_or_none(page.get("url"), "path")
        host = urlsplit_or_none(page.get("referrer"), "netloc")
        own = urlsplit_or_none(page.get("url"), "netloc")
        if isinstance(path, str) and path:
            entry["path"] = path.split("?", 1)[0][:300]
        if host and host != own:
            entry["referrer"] = host[:200]
    campaign = context.get("campaign")
    if isinstance(campaign, Mapping):
        for name in ("source", "medium", "name", "term", "content"):
            value = campaign.get(name)
            if isinstance(value, str) and value:
                entry[name] = value[:200]
    return msgspec.json.encode(entry).decode()


def urlsplit_or_none(address: object, part: str) -> str | None:
    """The `path` or `netloc` (without user name and port) of an address, or None when it is none."""
    if not isinstance(address, str):
        return None
    try:
        split = urlsplit(address)
        return split.hostname if part == "netloc" else split.path
    except ValueError:
        return None


def _reaches(row: SessionRow, ts: int) -> bool:
    return row.started - GAP <= ts <= (row.last if row.stopped else row.last + GAP)


def _session(row: Sequence[Any]) -> SessionRow:
    id_, profile_id, key, started, last, stopped, count, entry = row
    return SessionRow(id_, profile_id, None if key is None else bytes(key), started, last, bool(stopped), count, entry)


def _state(row: SessionRow) -> tuple[Any, ...]:
    return row.started, row.last, row.stopped, row.event_count, row.entry, row.id


def _move_events(db: Database, moves: list[tuple[int, int, int]]) -> None:
    """Point the stored events of joined sessions to the one that took them in: (new, profile, old) each, one query."""
    if db.postgres:
        new, profiles, old = zip(*moves, strict=True)
        db.execute(
            "update events_event e set session_id = k.new"
            " from unnest(?::bigint[], ?::bigint[], ?::bigint[]) k(new, profile_id, old)"
            " where e.profile_id = k.profile_id and e.session_id = k.old",
            (list(new), list(profiles), list(old)),
        )
    else:
        db.many("update events_event set session_id = ? where profile_id = ? and session_id = ?", moves)
