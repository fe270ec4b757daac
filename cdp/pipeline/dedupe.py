"""Each message counts once: the digests of those that were accepted, and how long they are remembered."""

from collections.abc import Iterable

from cdp.core.bulk import Database, Table
from cdp.core.clock import DAY
from cdp.pipeline.models import SeenMessage

SEEN = Table("pipeline_seenmessage", {"digest": "bytea", "day": "integer"}, ("digest",))
_CHUNK = 5000
_MAX_CHUNKS = 2000
_CLAIM = "insert into pipeline_seenmessage (digest, day)"
_ONCE = "on conflict do nothing returning digest"
_CLAIM_POSTGRES = f"{_CLAIM} select digest, ?::int4 from unnest(?::bytea[]) as given(digest) {_ONCE}"
_CLAIM_SQLITE = f"""
with recursive place(n) as (select 0 union all select n + 1 from place where n + 1 < ?3)
{_CLAIM} select substr(?2, n * 16 + 1, 16), ?1 from place where true {_ONCE}
"""


def claim(db: Database, digests: Iterable[bytes], *, day: int) -> set[bytes]:
    """Remember `digests` as accepted on `day` (days since 1970), in the open transaction; returns those that are new.

    One statement. They go in sorted, so that two who claim the same wait for each other instead of deadlocking.
    """
    wanted = sorted(set(digests))
    if not wanted:
        return set()
    if db.postgres:
        return {row[0] for row in db.rows(_CLAIM_POSTGRES, (day, wanted))}
    return {row[0] for row in db.rows(_CLAIM_SQLITE, (day, b"".join(wanted), len(wanted)))}


def purge_seen(now: int, *, keep_days: int) -> int:
    """Delete the digests of messages accepted more than `keep_days` days before `now` (µs); 0 keeps them for ever.

    In short transactions of 5,000 rows, so that the door never waits long; at most 10 million rows a call.
    """
    if keep_days == 0:
        return 0
    last_day = now // DAY - keep_days
    deleted = 0
    for _ in range(_MAX_CHUNKS):
        chunk = list(SeenMessage.objects.filter(day__lt=last_day).values_list("digest", flat=True)[:_CHUNK])
        if chunk:
            deleted += SeenMessage.objects.filter(digest__in=chunk).delete()[0]
        if len(chunk) < _CHUNK:
            break
    return deleted
