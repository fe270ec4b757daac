"""Grants that run out change what a person allows, though nobody writes anything."""

from cdp.consents.models import ExpiryCursor
from cdp.core.bulk import Database
from cdp.pipeline.lease import database, exclusive, mark_described

CHUNK = 2_000
_EXPIRED, _RECORD = (f"(select coalesce(max({name}), 0) from consents_expirycursor)" for name in ("expired", "record"))
_RUN_OUT = f"""
    select c.expires_at, c.id, c.profile_id from consents_consentrecord c
    where c.granted and c.expires_at <= ? and c.expires_at >= {_EXPIRED}
      and (c.expires_at > {_EXPIRED} or c.id > {_RECORD})
    order by c.expires_at, c.id limit ?"""


def follow_expiry(now: int) -> int:
    """Mark whose grant ran out by `now` (µs) as described anew, so that the lake and segments follow.

    Returns how many grants. One query when there are none. Each 2,000 are a transaction under the processing fence that
    also moves the cursor: killed at any point, it goes on where it was.
    """
    followed = 0
    while _next(database(), now, limit=1):
        with exclusive() as db:
            found = _next(db, now, limit=CHUNK)
            mark_described(db, sorted({profile for _, _, profile in found}), now=now)
            if found:
                expired, record, _ = found[-1]
                ExpiryCursor.objects.update_or_create(pk=1, defaults={"expired": expired, "record": record})
        followed += len(found)
    return followed


def _next(db: Database, now: int, *, limit: int) -> list[tuple[int, int, int]]:
    """The next grants behind the cursor: when each ran out, its row, whose it is."""
    return [(expired, record, profile) for expired, record, profile in db.rows(_RUN_OUT, (now, limit))]
