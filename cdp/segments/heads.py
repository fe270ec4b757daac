"""How far the store has come, and how far behind it each segment is."""

from collections.abc import Sequence

import msgspec

from cdp.core.clock import SECOND
from cdp.history.reading import database
from cdp.segments.models import Segment

_HEAD = """
    select coalesce((select max(touched) from profiles_profile), 0),
           coalesce((select max(deleted_in) from profiles_deletedprofile), 0),
           coalesce((select max(id) from events_event), 0)"""
_OLDEST_UNSEEN = """
    select s.id, (select p.updated_at from profiles_profile p where p.touched > s.cursor order by p.touched limit 1)
    from segments_segment s where s.id {in}"""


class Head(msgspec.Struct, frozen=True):
    """The fence of the last write to people and the id of the last event, read in one moment."""

    fence: int
    event: int


def head() -> Head:
    """How far the store is: one query, three look-ups in indexes."""
    touched, deleted, event = database().rows(_HEAD)[0]
    return Head(max(touched, deleted), event)


def freshness(segments: Sequence[Segment], *, now: int) -> dict[int, float]:
    """Seconds since the oldest write that each segment has not seen, 0 when it has seen all: one query for all.

    A new definition counts as unseen from the moment it was saved.
    """
    rows = database().rows_in(_OLDEST_UNSEEN, [segment.pk for segment in segments], "bigint")
    oldest = dict(rows)
    found = {}
    for segment in segments:
        since = [at for at in (oldest.get(segment.pk), segment.updated_at if segment.due else None) if at is not None]
        found[segment.pk] = round(max(0, now - min(since)) / SECOND, 3) if since else 0.0
    return found
