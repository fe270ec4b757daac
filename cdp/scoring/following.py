"""Computed traits follow the store by themselves: after writes within seconds, and windows as time goes by.

One row (`ComputedProgress`) holds the fence up to which every write was seen, and the lease of whoever computes.
Nothing is lost when a process dies: the cursor moves only after the values were written.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from cdp.core.bulk import Database
from cdp.core.clock import SECOND, now_us
from cdp.core.holder import holder_name, is_gone
from cdp.history.reading import database, ends
from cdp.scoring.refresh import refresh_computed, sweep_computed
from cdp.traits.catalogue import catalogue
from cdp.traits.models import ComputedProgress, ComputedTrait

MOST = 2500
"""People looked at in one pass; those whose writes share a fence are never parted."""
LEASE = 600 * SECOND
_AT = "select touched from profiles_profile where touched > ? order by touched limit 1 offset ?"
_TOUCHED = """
    select id, person_id from profiles_profile where touched > ? and touched <= ?
    union all select profile_id, profile_id from profiles_deletedprofile where deleted_in > ? and deleted_in <= ?"""
_TAKE = """
    update traits_computedprogress set lease_holder = ?, lease_until = ?
    where id = 1 and (lease_until < ? or lease_holder = ?)"""


def follow_computed() -> int:
    """Bring the values of computed traits up to date; returns how many changed. 0 when there is nothing to do.

    Idle, it costs three queries, none without a computed trait. One process at a time works; a lease that its holder
    cannot give back runs out.
    """
    if not catalogue().computed:
        return 0
    progress = ComputedProgress.objects.get(pk=1)
    if not _due(progress) and ends(database()).fence <= progress.cursor:
        return 0
    changed = 0
    with _leased() as held:
        if held is None:
            return 0
        changed += _sweep(ComputedProgress.objects.get(pk=1))
        while (more := _follow(ComputedProgress.objects.get(pk=1))) is not None:
            changed += more
    return changed


def _due(progress: ComputedProgress) -> list[str]:
    """The traits that everybody is to be looked at for: new definitions, and windows that time has moved."""
    now = now_us()
    moved = progress.swept_at < now - settings.COMPUTED_WINDOW_SECONDS * SECOND
    rows = ComputedTrait.objects.values_list("key", "version", "computed_version", "windowed")
    return [key for key, version, done, windowed in rows if version != done or (windowed and moved)]


def _sweep(progress: ComputedProgress) -> int:
    due = _due(progress)
    if not due:
        return 0
    versions = dict(ComputedTrait.objects.filter(key__in=due).values_list("key", "version"))
    now = now_us()
    changed = sweep_computed(due, now=now)
    for key, version in versions.items():
        ComputedTrait.objects.filter(key=key).update(computed_version=version)
    ComputedProgress.objects.filter(pk=1).update(swept_at=now, computed_at=now, error="", error_at=None)
    return changed


def _follow(progress: ComputedProgress) -> int | None:
    """One pass over people who were touched since; None when there are none."""
    db = database()
    head = ends(db).fence
    if head <= progress.cursor:
        return None
    upto = _upto(db, progress.cursor, head)
    bounds = (progress.cursor, upto)
    people = sorted({id_ for row in db.rows(_TOUCHED, (*bounds, *bounds)) for id_ in row})
    now = now_us()
    changed = refresh_computed(people, now=now)
    ComputedProgress.objects.filter(pk=1).update(cursor=upto, computed_at=now, error="", error_at=None)
    return changed


def _upto(db: Database, cursor: int, head: int) -> int:
    rows = db.rows(_AT, (cursor, MOST))
    return min(rows[0][0], head) if rows else head


@contextmanager
def _leased() -> Iterator[str | None]:
    """The name of the holder; None while another living process works. What is raised is noted and raised on."""
    holder, now, db = holder_name(), now_us(), database()
    other = ComputedProgress.objects.get(pk=1).lease_holder
    dead = other if other and is_gone(other) else ""
    if db.execute(_TAKE, (holder, now + LEASE, now, dead)) != 1:
        yield None
        return
    try:
        yield holder
    except Exception as error:
        ComputedProgress.objects.filter(pk=1).update(error=type(error).__name__, error_at=now_us())
        raise
    finally:
        db.execute(
            "update traits_computedprogress set lease_holder = '', lease_until = 0 where id = 1 and lease_holder = ?",
            (holder,),
        )
