"""Hot events that are old and in the lake leave the operational store, and sessions that have none any more."""

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest

from cdp.core.clock import DAY
from cdp.history.models import LakeState
from cdp.history.reading import database
from cdp.history.tables import open_table, store_id
from cdp.lake.delta import EVENTS

CHUNK = 5000
_OF_SESSION = """
    select 1 from events_event e where e.profile_id = events_session.profile_id
    and e.ts between events_session.started and events_session.last and e.session_id = events_session.id"""
_ENDED = f"""
    select last_day, id, exists ({_OF_SESSION}) from events_session
    where last_day <= ? and last < ? and (last_day, id) > (?, ?) order by last_day, id limit ?"""
_UNUSED = f"delete from events_session where last < ? and not exists ({_OF_SESSION}) and id {{in}}"


def purge_hot_events(now: int) -> int:
    """Delete the hot events older than HOT_EVENT_DAYS that the lake has, 5,000 per transaction; returns how many.

    What has been purged is noted in the same transaction: a reader that opened the lake before looks again.
    """
    cutoff = now - settings.HOT_EVENT_DAYS * DAY
    if not _old(2**62, cutoff, 1):
        return 0
    table = open_table(EVENTS, store=store_id())
    exported = 0 if table is None else table.position
    purged = 0
    while ids := _old(exported, cutoff, CHUNK):
        with transaction.atomic():
            LakeState.objects.filter(pk=EVENTS.name).update(
                purged_to=Greatest(F("purged_to"), max(ids)),
                purged_before=Greatest(Coalesce(F("purged_before"), cutoff), cutoff),
            )
            purged += database().execute_in("delete from events_event where id {in}", ids, "bigint")
    return purged


def purge_sessions(now: int) -> int:
    """Delete the sessions that ended before HOT_EVENT_DAYS and have no hot event any more; returns how many.

    5,000 per transaction. A person's number of sessions that is shown is that of the operational store.
    """
    cutoff = now - settings.HOT_EVENT_DAYS * DAY
    day, after, purged = -(2**31), 0, 0
    while rows := database().rows(_ENDED, (cutoff // DAY, cutoff, day, after, CHUNK)):
        day, after, _ = rows[-1]
        ids = [id_ for _, id_, used in rows if not used]
        with transaction.atomic():
            purged += database().execute_in(_UNUSED, ids, "bigint", (cutoff,))
    return purged


def _old(exported: int, cutoff: int, limit: int) -> list[int]:
    sql = "select id from events_event where ts < ? and id <= ? order by ts limit ?"
    return [row[0] for row in database().rows(sql, (cutoff, exported, limit))]
