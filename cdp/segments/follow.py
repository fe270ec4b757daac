"""Members follow the data by themselves: people who were written about, definitions that changed, time that went by.

`follow` is called every few seconds and asks one query when nothing happened. What it finds it does in this order:

1. **Sweeps** over everybody: segments whose definition changed or that failed a while ago, and every
   `SEGMENT_SWEEP_SECONDS` all those whose members may change as time goes by, together in one pass. So whoever leaves
   because a window moved on needs no timer of their own.
2. **Passes** over the people who were touched since the oldest cursor, and those who changed in a segment that another
   one refers to: `BATCH` at a time, against all segments together.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.conf import settings

from cdp.core.clock import SECOND, now_us
from cdp.core.holder import is_gone
from cdp.history.reading import database
from cdp.segments.causes import Since, grouped, reasons
from cdp.segments.evaluate import Evaluation, evaluate
from cdp.segments.generations import Cause, Change, Group, Turn, turn_over
from cdp.segments.heads import Head, head
from cdp.segments.lease import Lease, LeaseLost, hold, leased, prolong
from cdp.segments.members import member_ids, members_among
from cdp.segments.models import Segment
from cdp.segments.store import writing

BATCH = 2_500
SWEEP_FROM = 20_000
"""From so many waiting people on, looking at everybody is quicker than looking at them in batches."""

_log = logging.getLogger(__name__)

_PULSE = """
    select s.id, s.key, s.computed_version <> s.definition_version or s.swept_at = 0, s.windowed, s.relative,
           s.swept_at, s.cursor, s.generation, s.error_at, s.lease_until, s.lease_holder, s.refers_to, s.seen,
           coalesce((select max(touched) from profiles_profile), 0),
           coalesce((select max(deleted_in) from profiles_deletedprofile), 0)
    from segments_segment s"""
_TOUCHED = "select touched, id, person_id from profiles_profile where touched > ?"
_GONE = "select profile_id from profiles_deletedprofile where deleted_in > ? and deleted_in <= ?"
_CHANGED = """
    select distinct c.person_id from segments_membershipchange c join segments_segment s on s.id = c.segment_id
    where s.key = ? and c.generation > ? and c.generation <= s.generation limit ?"""


class _Standing(msgspec.Struct, frozen=True):
    """How a segment stands to the store: what it takes to decide whether there is anything to do."""

    id: int
    key: str
    due: bool
    windowed: bool
    relative: bool
    swept_at: int
    cursor: int
    generation: int
    error_at: int | None
    lease_until: int
    lease_holder: str
    refers_to: list[str]
    seen: dict[str, int]
    fence: int

    def free(self) -> bool:
        """Whether nobody who lives is at it."""
        return self.lease_until < now_us() or is_gone(self.lease_holder)

    def swept_long_ago(self, now: int) -> bool:
        """Whether it is time to look at everybody again."""
        since = self.error_at if self.error_at is not None else self.swept_at
        return since + settings.SEGMENT_SWEEP_SECONDS * SECOND <= now

    def to_sweep(self, now: int) -> bool:
        """Whether everybody must be looked at."""
        if self.error_at is not None:
            return self.swept_long_ago(now)
        return self.due or ((self.windowed or self.relative) and self.swept_long_ago(now))

    def behind(self, generations: Mapping[str, int]) -> bool:
        """Whether a pass over some people has something to do; it cannot tell of segments that rank everybody."""
        if self.due or self.relative or self.error_at is not None:
            return False
        return self.cursor < self.fence or any(
            self.seen.get(key, 0) < generations.get(key, 0) for key in self.refers_to
        )


def follow(*, now: int | None = None) -> int:
    """Bring every segment up to date; returns how many sweeps and passes it took, 0 when nothing had happened.

    Several processes may call it at once: each segment is brought up to date by one of them. `now` (µs) is the moment
    at which rules are looked at; the clock's when it is not given.
    """
    done = 0
    while True:
        at = now_us() if now is None else now
        due = due_for_sweep(now=at)
        worked = int(bool(due and sweep(due, now=now))) + follow_people(now=now)
        if not worked:
            return done
        done += worked


def due_for_sweep(*, now: int) -> list[int]:
    """The segments, free ones, for which everybody must be looked at: one query."""
    return [one.id for one in _pulse() if one.free() and one.to_sweep(now)]


def follow_people(*, now: int | None = None) -> int:
    """Pass over everybody who changed until nobody is left; returns how many passes it took. One query when idle."""
    passes = 0
    while True:
        standing = _pulse()
        generations = {one.key: one.generation for one in standing}
        moment = _moment(now)
        behind = [one.id for one in standing if one.free() and not one.to_sweep(moment) and one.behind(generations)]
        if not behind or not _pass(behind, now=now):
            return passes
        passes += 1


def sweep(ids: Iterable[int], *, now: int | None = None, progress: Callable[[Segment], None] | None = None) -> int:
    """Compute segments over everybody, those that are free; returns how many were brought up to date.

    A segment that cannot be computed keeps its members, shows the error, and is tried again at the next sweep.
    """
    done = 0
    with leased(ids) as lease:
        at = head()
        moment = _moment(now)
        generations = _generations(lease.segments)
        found = evaluate(lease.segments, now=moment)
        _fail(lease, found.errors, now=moment)
        for segment in found.order:
            prolong(lease)
            if _sweep_one(segment, found, lease, generations, at=at, now=moment):
                done += 1
            generations[segment.key] = segment.generation
            if progress:
                progress(segment)
    return done


def _sweep_one(
    segment: Segment, found: Evaluation, lease: Lease, generations: Mapping[str, int], *, at: Head, now: int
) -> bool:
    """Write what a sweep found of one segment, as a generation of its own. False when somebody else took it over."""
    import numpy as np

    members = found.members.pop(segment.pk)
    current = np.array(member_ids(segment.pk), dtype=np.int64)
    entered = np.setdiff1d(members, current, assume_unique=True).tolist()
    left = np.setdiff1d(current, members, assume_unique=True).tolist()
    steps = _by_cause(segment, entered, left, by_events=segment.pk in found.by_events)
    _see(segment, generations, at)
    segment.computed_version, segment.swept_at = segment.definition_version, now
    try:
        turn_over([Turn(segment, steps)], lease, since=at.fence, now=now)
    except LeaseLost:
        _log.warning("Segment %s was taken over while it was computed.", segment.key)
        return False
    return True


def _by_cause(segment: Segment, entered: Sequence[int], left: Sequence[int], *, by_events: bool) -> list[Group]:
    if segment.computed_version == segment.definition_version:
        since = Since(segment.cursor, segment.event_cursor)
        found = reasons([*entered, *left], since=since, otherwise={}, usual=Cause.TIME)
        return grouped(entered, left, found, by_events=by_events)
    cause = Cause.INITIAL if segment.computed_at is None else Cause.MANUAL if segment.listed else Cause.DEFINITION
    steps = [Group(Change.ENTERED, cause, entered), Group(Change.LEFT, cause, left)]
    return [step for step in steps if step.people]


def _pass(ids: Sequence[int], *, now: int | None) -> int:
    """One pass over the next people who changed, against the segments that are free; returns how many segments moved.

    A constant number of queries, whatever the number of people and segments.
    """
    with leased(ids) as lease:
        if not lease.segments:
            return 0
        at = head()
        moment = _moment(now)
        low = min(segment.cursor for segment in lease.segments)
        generations = _generations(lease.segments)  # before the changes are read: what comes later is seen later
        changed = _changed(lease.segments)
        people, upto = _touched(low, at)
        if people is None or changed is None:
            crowded = [segment.pk for segment in lease.segments]
        else:
            return _pass_over(lease, people, changed, generations, low=low, at=upto, now=moment)
    return sweep(crowded, now=now)


def _pass_over(
    lease: Lease,
    people: set[int],
    changed: set[int],
    generations: dict[str, int],
    *,
    low: int,
    at: Head,
    now: int,
) -> int:
    everybody = sorted(people | changed)
    found = evaluate(lease.segments, now=now, people=everybody)
    _fail(lease, found.errors, now=now)
    current = members_among([segment.pk for segment in found.order], everybody)
    entered = {s.pk: sorted(found.some(s.pk) - current[s.pk]) for s in found.order}
    left = {s.pk: sorted(current[s.pk] - found.some(s.pk)) for s in found.order}
    moved = sorted({p for some in (*entered.values(), *left.values()) for p in some})
    since = Since(low, min(s.event_cursor for s in lease.segments))
    usual = dict.fromkeys(changed, Cause.SEGMENT)
    why = reasons(moved, since=since, otherwise=usual, usual=Cause.TIME)
    turns = []
    for segment in found.order:
        steps = grouped(entered[segment.pk], left[segment.pk], why, by_events=segment.pk in found.by_events)
        _see(segment, generations, at)
        turns.append(Turn(segment, steps))
        generations[segment.key] = segment.generation + (1 if steps else 0)
    try:
        turn_over(turns, lease, since=at.fence, now=now)
    except LeaseLost:
        _log.warning("Segments were taken over while they were followed.")
        return 0
    return len(turns)


def _moment(now: int | None) -> int:
    """The moment to look at rules: `now` (µs) if it is given, else the clock's.

    Called after the head of the store was read, so that no event up to the head lies behind that moment: it would count
    as not yet happened, and as seen.
    """
    return now_us() if now is None else now


def _see(segment: Segment, generations: Mapping[str, int], at: Head) -> None:
    """What the segment has seen when its turn is written."""
    segment.cursor = max(segment.cursor, at.fence)
    segment.event_cursor = max(segment.event_cursor, at.event)
    segment.seen = {key: generations[key] for key in segment.refers_to if key in generations}


def _pulse() -> list[_Standing]:
    standing = []
    for row in database().rows(_PULSE):
        id_, key, due, windowed, relative, *plain, refers_to, seen, touched, deleted = row
        flags = map(bool, (due, windowed, relative))
        values: list[Any] = [id_, key, *flags, *plain, _json(refers_to), _json(seen), max(touched, deleted)]
        standing.append(_Standing(*values))
    return standing


def _generations(segments: Sequence[Segment]) -> dict[str, int]:
    """The generations of the segments that `segments` refer to."""
    asked = {key for segment in segments for key in segment.refers_to}
    return dict(Segment.objects.filter(key__in=asked).values_list("key", "generation")) if asked else {}


def _json(value: Any) -> Any:
    """A JSON column as the driver gives it: decoded by PostgreSQL's, a text by SQLite's."""
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value


def _changed(segments: Sequence[Segment]) -> set[int] | None:
    """People who changed in segments that `segments` refer to and that were not looked at since; None: too many."""
    behind: dict[str, int] = {}
    for segment in segments:
        for key in segment.refers_to:
            behind[key] = min(behind.get(key, segment.seen.get(key, 0)), segment.seen.get(key, 0))
    found: set[int] = set()
    for key, generation in behind.items():
        found |= {row[0] for row in database().rows(_CHANGED, (key, generation, SWEEP_FROM + 1))}
    return found if len(found) <= SWEEP_FROM else None


def _touched(low: int, at: Head) -> tuple[set[int] | None, Head]:
    """The next people to look at after the fence `low`, and how far that reaches; None: too many.

    Whoever is no longer a person of their own is among them, and so are the deleted.
    """
    db = database()
    rows = db.rows(f"{_TOUCHED} order by touched limit ?", (low, BATCH))
    fence = at.fence
    if len(rows) == BATCH:
        waiting = db.rows(f"select count(*) from ({_TOUCHED} limit ?) waiting", (low, SWEEP_FROM + 1))[0][0]
        if waiting > SWEEP_FROM:
            return None, at
        fence = min(fence, rows[-1][0])
        rows = db.rows(f"{_TOUCHED} and touched <= ?", (low, fence))
    people = {person for row in rows if row[0] <= fence for person in row[1:]}
    people |= {row[0] for row in db.rows(_GONE, (low, fence))}
    return people, Head(fence, at.event if fence == at.fence else 0)


def _fail(lease: Lease, errors: Mapping[int, str], *, now: int) -> None:
    """Show on the segments why they could not be computed."""
    for segment_id, error in errors.items():
        with writing() as db:
            hold(db, lease, [segment_id])
            db.execute(
                "update segments_segment set error = ?, error_at = ? where id = ?", (error[:1000], now, segment_id)
            )
