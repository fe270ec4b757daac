"""Events dated ahead count from the moment that they are dated, though nobody writes anything then."""

from cdp.core.clock import DAY, MINUTE
from cdp.history.reading import database
from cdp.pipeline.lease import exclusive, mark_touched

FIRST_LOOK = 7 * DAY
"""How far back the first look of a process reaches: a worker may have stood still so long."""
_SLACK = 10 * MINUTE
"""What was being written at the last look."""
_CHUNK = 2000
_COME = """
    select distinct e.profile_id from events_event e join profiles_profile p on p.id = e.profile_id
    where e.ts > e.received and e.ts > ? and e.ts <= ? and p.updated_at < e.ts"""


class Arrivals:
    """Looks for events whose time has come since it looked last."""

    def __init__(self) -> None:
        self._looked = 0

    def touch(self, now: int) -> int:
        """Mark the profiles of events dated ahead that lie between their last write and `now` (µs) as touched, so that

        segments and computed traits look at their people again; returns how many. One query when there are none. Holds
        the processing fence, for 2,000 at a time.
        """
        since = now - FIRST_LOOK
        if self._looked <= now:
            since = max(since, self._looked - _SLACK)
        profiles = [row[0] for row in database().rows(_COME, (since, now))]
        for start in range(0, len(profiles), _CHUNK):
            with exclusive() as db:
                mark_touched(db, profiles[start : start + _CHUNK], now=now)
        self._looked = now
        return len(profiles)


_arrivals = Arrivals()


def touch_arrived(now: int) -> int:
    """`Arrivals.touch` of this process."""
    return _arrivals.touch(now)
