"""The SQL that writes a group of checked messages: digests, inbox, quarantine and counters in one transaction."""

from collections import Counter as Tally
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from cdp.core.bulk import Database, Table
from cdp.core.crypto import Keyring
from cdp.core.json import encode
from cdp.events.rows import QUARANTINE
from cdp.pipeline.check import Checked
from cdp.pipeline.counters import ADD, count
from cdp.pipeline.message import Envelope, quoted, seal, seal_raw

_MAX_REASON = 300
ACCEPTED = "accepted"
DUPLICATE = "duplicate"


class Kept(NamedTuple):
    """A row for the inbox."""

    digest: bytes
    source_id: int
    received: int
    body: bytes


class Refused(NamedTuple):
    """A row for the quarantine."""

    digest: bytes
    source_id: int
    received: int
    stage: str
    status: str
    code: str
    reason: str
    body: bytes


INBOX = Table("pipeline_inboxmessage", {"digest": "bytea", "source_id": "int4", "received": "int8", "body": "bytea"})
# One round trip, and so one wait for the disk, for the whole group. Digests and counters go in sorted, so that two
# processes with the same messages wait for each other instead of deadlocking.
_POSTGRES = f"""
with given as (
    select * from unnest(?::bytea[], ?::int4[], ?::int8[], ?::bytea[])
        with ordinality as g(digest, source_id, received, body, n)
), fresh as (
    insert into pipeline_seenmessage (digest, day)
    select digest, ?::int4 from given order by digest on conflict do nothing returning digest
), stored as (
    insert into pipeline_inboxmessage (digest, source_id, received, body)
    select digest, source_id, received, body from given where digest in (select digest from fresh) order by n
), counted as (
    insert into pipeline_counter (day, source_id, outcome, count)
    select ?::int4, source_id, outcome, sum(count) from (
        select source_id, 1 as count,
            case when digest in (select digest from fresh) then 'accepted' else 'duplicate' end as outcome
        from given
        union all select * from unnest(?::int4[], ?::int8[], ?::text[])
    ) as outcomes group by source_id, outcome order by source_id, outcome
    {ADD}
)
select digest from given where digest not in (select digest from fresh)
"""

_SQLITE_SEEN = """
with recursive place(n) as (select 0 union all select n + 1 from place where n + 1 < ?3)
insert into pipeline_seenmessage (digest, day) select substr(?1, n * 16 + 1, 16), ?2 from place where true
on conflict do nothing
"""
_SQLITE_INBOX = """
insert into pipeline_inboxmessage (digest, source_id, received, body)
select substr(?1, key * 16 + 1, 16), value ->> 0, value ->> 1, substr(?2, value ->> 2, value ->> 3) from json_each(?3)
"""


def kept(keyring: Keyring, message: Checked, source_id: int, received: int, tail: bytes) -> Kept:
    """The inbox row of a usable message; `tail` is the rest of its envelope (`tail_of`)."""
    return Kept(message.digest, source_id, received, seal_raw(keyring, message.raw, tail))


def refused(keyring: Keyring, message: Checked, source_id: int, received: int, envelope: Envelope) -> Refused:
    """The quarantine row of an unusable one, with what its request said in `envelope`."""
    body = seal(keyring, quoted(message.raw, envelope))
    reason = message.reason[:_MAX_REASON]
    return Refused(message.digest, source_id, received, "door", "open", message.code, reason, body)


def write(database: Database, rows: Sequence[Kept], refusals: Sequence[Refused] = (), *, day: int) -> set[bytes]:
    """Write a group on `day` (days since 1970); returns the digests of `rows` that had been accepted before.

    Of several `rows` with one digest the first counts and the others are duplicates (not in the answer). The caller
    holds a transaction, unless it is PostgreSQL and there are no `refusals`: then it is one statement.
    """
    tally = Tally((refusal.source_id, f"rejected:{refusal.code}") for refusal in refusals)
    database.insert_missing(QUARANTINE, refusals)
    fresh = _distinct(rows, tally)
    if fresh and database.postgres:
        columns = [list(column) for column in zip(*fresh, strict=True)]
        counts = [[key[0] for key in tally], list(tally.values()), [key[1] for key in tally]]
        return {row[0] for row in database.rows(_POSTGRES, [*columns, day, day, *counts])}
    known = _write_sqlite(database, fresh, day) if fresh else set()
    tally.update([(row.source_id, DUPLICATE if row.digest in known else ACCEPTED) for row in fresh])
    count(database, tally, day=day)
    return known


def _distinct(rows: Sequence[Kept], tally: Tally[tuple[int, str]]) -> Sequence[Kept]:
    """The first of the `rows` of each digest; the others are counted as duplicates."""
    first = {row.digest: row for row in reversed(rows)}
    if len(first) == len(rows):
        return rows
    tally.update((row.source_id, DUPLICATE) for row in rows if first[row.digest] is not row)
    return [row for row in rows if first[row.digest] is row]


def _write_sqlite(database: Database, rows: Sequence[Kept], day: int) -> set[bytes]:
    """One statement for each table, however many rows: the driver gives up the GIL for every step, and a busy event
    loop gives it back late. So the rows travel as one blob with a list of where each begins.
    """
    before = database.connection.total_changes
    database.execute(_SQLITE_SEEN, (b"".join([row.digest for row in rows]), day, len(rows)))
    count = database.connection.total_changes - before
    known: set[bytes] = set()
    if count < len(rows):
        # Nobody else writes now, so those that were new have the last row numbers.
        new = database.rows("select digest from pipeline_seenmessage order by rowid desc limit ?", (count,))
        known = {row.digest for row in rows} - {row[0] for row in new}
        rows = [row for row in rows if row.digest not in known]
    if rows:
        ends = accumulate(len(row.body) for row in rows)
        places = [
            (row.source_id, row.received, end - len(row.body) + 1, len(row.body))
            for row, end in zip(rows, ends, strict=True)
        ]
        blobs = b"".join([row.digest for row in rows]), b"".join([row.body for row in rows])
        database.execute(_SQLITE_INBOX, (*blobs, encode(places).decode()))
    return known
