"""What the lake does not have yet, decoded once and kept in this process while it waits."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cdp.core.bulk import Database
from cdp.history.event_rows import events_rows
from cdp.history.people_rows import CHUNK, changed_people, gone_rows, people_rows
from cdp.lake.schema import Typed

if TYPE_CHECKING:
    import pyarrow as pa

_MANY_PIECES = 32
_DELETED = "select profile_id, deleted_in from profiles_deletedprofile where deleted_in > ?"


class EventTail:
    """The hot events above the lake's position. Ids come in the order of commits, so what was read stays read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: pa.Table | None = None
        self._from = self._last = self._deletions = 0

    def rows(self, db: Database, after: int) -> "pa.Table":
        """All events above `after`: two queries. Call it within `one_moment`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        with self._lock:
            if self._rows is None or after < self._from:
                self._rows, self._last, self._deletions = None, after, 0
            fresh = events_rows(db, max(after, self._last))
            kept = fresh
            if self._rows is not None:
                begin = int(pc.sum(pc.less_equal(self._rows["id"], after)).as_py() or 0)
                kept = pa.concat_tables([self._rows.slice(begin), fresh])
                if kept["id"].num_chunks > _MANY_PIECES:
                    kept = kept.combine_chunks()
            deleted = db.rows(_DELETED, (self._deletions,))
            if deleted:
                self._deletions = max(number for _, number in deleted)
                gone = pa.array([profile for profile, _ in deleted], pa.int64())
                kept = kept.filter(pc.invert(pc.is_in(kept["profile"], gone)))
            if fresh.num_rows:
                self._last = fresh["id"][-1].as_py()
            self._rows, self._from = kept, after
            return kept


class PeopleTail:
    """The people described above the lake's position, each as last described."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: pa.Table | None = None
        self._typed: Mapping[str, Typed] = {}
        self._from = self._upto = 0

    def rows(self, db: Database, after: int, upto: int, *, typed: Mapping[str, Typed], now: int) -> "pa.Table":
        """One row for everybody described above `after`; `upto` is the fence of this moment. Within `one_moment`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        with self._lock:
            if self._rows is None or after < self._from or upto < self._upto or typed != self._typed:
                self._rows, self._upto, self._typed = None, after, typed
            changed = changed_people(db, max(after, self._upto), upto)
            kept, expired = self._still(after, now)
            people = sorted({*changed.people, *expired})
            pieces = [
                people_rows(db, people[start : start + CHUNK], now=now, typed=typed)
                for start in range(0, len(people), CHUNK)
            ]
            pieces.append(gone_rows(changed.gone, now=now, typed=typed))
            if kept is not None:
                outdated = pa.array([*people, *(person for person, _ in changed.gone)], pa.int64())
                pieces.append(kept.filter(pc.invert(pc.is_in(kept["person"], outdated))))
            self._rows = pa.concat_tables(pieces).combine_chunks()
            self._from, self._upto = after, upto
            return self._rows

    def _still(self, after: int, now: int) -> "tuple[pa.Table | None, list[int]]":
        """What is known and not in the lake; and of whom among them a trait has run out since."""
        import pyarrow.compute as pc

        if self._rows is None:
            return None, []
        kept = self._rows.filter(pc.greater(self._rows["version"], after))
        return kept, kept.filter(pc.less_equal(kept["next_expiry"], now))["person"].to_pylist()


_events, _people = EventTail(), PeopleTail()


def event_tail(db: Database, after: int) -> "pa.Table":
    """`EventTail.rows` of this process."""
    return _events.rows(db, after)


def people_tail(db: Database, after: int, upto: int, *, typed: Mapping[str, Typed], now: int) -> "pa.Table":
    """`PeopleTail.rows` of this process."""
    return _people.rows(db, after, upto, typed=typed, now=now)


def forget_tail() -> None:
    """Read everything again at the next question."""
    global _events, _people
    _events, _people = EventTail(), PeopleTail()
