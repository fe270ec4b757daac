"""History as of now for a query: the lake, and the rows of the operational store that have not reached it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.conf import settings

from cdp.core.clock import now_us
from cdp.history.engine import analytics_engine
from cdp.history.export import flush
from cdp.history.layout import wanted_columns
from cdp.history.lease import LakeBusy
from cdp.history.models import LakeState
from cdp.history.reading import ends, one_moment
from cdp.history.tables import check_not_ahead, open_table
from cdp.history.tail import event_tail, people_tail
from cdp.history.waiting import waiting_events, waiting_people
from cdp.lake.delta import EVENTS, PEOPLE
from cdp.lake.engine import Snapshot
from cdp.lake.errors import LakeLost, Overtaken
from cdp.lake.moment import Moment, event_files, people_files

if TYPE_CHECKING:
    import pyarrow as pa

_LONG_TAIL = 4
"""A tail of so many flushes is brought into the lake first: it would be decoded in this process otherwise."""

_LOOKS = 10


@contextmanager
def snapshot(*, members: "pa.Table | None" = None) -> Iterator[Snapshot]:
    """History as it is now: everything that was processed is in it, whether it has reached the lake or not.

    `members` are current memberships (segment, person). On Spark the tail is flushed first, because it would have to
    travel to the cluster. Raises ForeignLake.
    """
    _shorten_tail(always=settings.ANALYTICS_ENGINE != "duckdb")
    with Snapshot(analytics_engine(), lambda: moment(members), seconds=settings.ANALYTICS_SECONDS) as taken:
        yield taken


def moment(members: "pa.Table | None" = None) -> Moment:
    """The lake first, then, in one state of the store, what it does not have: no gap and nothing twice.

    When hot events were purged in between that the lake did not have when it was opened, it is opened again. Raises
    ForeignLake, LakeLost, LakeAhead.
    """
    import pyarrow as pa

    typed = wanted_columns()
    for _ in range(_LOOKS):
        store = LakeState.objects.get(pk=EVENTS.name).store
        events, people = open_table(EVENTS, store=store), open_table(PEOPLE, store=store)
        after = EVENTS.start if events is None else events.position
        described = PEOPLE.start if people is None else people.position
        current, fresh = people_files(people)
        with one_moment() as db:
            state = LakeState.objects.get(pk=EVENTS.name)
            if state.purged_to > after:
                continue
            last = ends(db)
            check_not_ahead(last, events=after, people=described)
            deleted = db.rows("select profile_id from profiles_deletedprofile where deleted_in > ?", (state.erased,))
            return Moment(
                events=event_files(events),
                events_tail=event_tail(db, after),
                deleted=pa.table({"profile": pa.array([row[0] for row in deleted], pa.int64())}),
                current=current,
                fresh=fresh,
                people_tail=people_tail(db, described, last.fence, typed=typed, now=now_us()),
                members=_nobody() if members is None else members,
                typed=typed,
            )

    raise LakeLost(
        f"The lake at {settings.LAKE_URL} lacks events that were purged from the operational store. Restore it, or make"
        " it anew from what there is: manage.py lake rebuild"
    )


def _nobody() -> "pa.Table":
    import pyarrow as pa

    return pa.schema([("segment", pa.string()), ("person", pa.int64())]).empty_table()


def _shorten_tail(*, always: bool) -> None:
    states = LakeState.objects.in_bulk()
    longest = max(waiting_events(states[EVENTS.name]).rows, waiting_people(states[PEOPLE.name]).rows)
    if always or longest > _LONG_TAIL * settings.LAKE_FLUSH_ROWS:
        try:
            flush()
        except (LakeBusy, Overtaken):
            return  # somebody else is at it; what is left is the tail
