"""What puts checked messages into the inbox and refused ones into quarantine.

The door only appends (`append`): keys at random places of an index would cost it three times as much as the rows
themselves, and every commit waits for what it has written. The processor finds the repeats. Imports, the REST API and
replays say at once what is a repeat, so they claim what they put in (`write`).
"""

from collections import Counter as Tally
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from cdp.core.bulk import Database, Table
from cdp.core.clock import DAY
from cdp.core.crypto import Keyring
from cdp.core.json import encode
from cdp.events.rows import QUARANTINE
from cdp.pipeline.check import Checked
from cdp.pipeline.counters import count
from cdp.pipeline.dedupe import claim
from cdp.pipeline.message import Envelope, Seal, quoted, seal, seal_raw

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


_INBOX = Table(
    "pipeline_inboxmessage",
    {"digest": "bytea", "source_id": "int4", "received": "int8", "body": "bytea", "claimed": "bool"},
)
_APPEND = "insert into pipeline_inboxmessage (digest, source_id, received, body, claimed)"
_POSTGRES = f"{_APPEND} select *, false from unnest(?::bytea[], ?::int4[], ?::int8[], ?::bytea[])"
_SQLITE = f"""
{_APPEND}
select substr(?1, key * 16 + 1, 16), value ->> 0, value ->> 1, substr(?2, value ->> 2, value ->> 3), false
from json_each(?3)
"""


def kept(seal: Seal, message: Checked, source_id: int, received: int, tail: bytes) -> Kept:
    """The inbox row of a usable message; `tail` is the rest of its envelope (`tail_of`), `seal` its sealer."""
    return Kept(message.digest, source_id, received, seal_raw(seal, message.raw, tail))


def refused(keyring: Keyring, message: Checked, source_id: int, received: int, envelope: Envelope) -> Refused:
    """The quarantine row of an unusable one, with what its request said in `envelope`."""
    body = seal(keyring, quoted(message.raw, envelope))
    reason = message.reason[:_MAX_REASON]
    return Refused(message.digest, source_id, received, "door", "open", message.code, reason, body)


def append(database: Database, rows: Sequence[Kept]) -> None:
    """Write messages of the door's: one statement.

    On SQLite too it is one statement for all rows: the driver gives up the GIL for every step, and a busy event loop
    gives it back late. So they travel as one blob with a list of where each begins.
    """
    if rows and database.postgres:
        database.execute(_POSTGRES, [list(column) for column in zip(*rows, strict=True)])
    elif rows:
        digests, _, _, bodies = zip(*rows, strict=True)
        ends = accumulate(map(len, bodies))
        places = [(row[1], row[2], end - len(row[3]) + 1, len(row[3])) for row, end in zip(rows, ends, strict=True)]
        database.execute(_SQLITE, (b"".join(digests), b"".join(bodies), encode(places).decode()))


def collect(database: Database, rows: Sequence[Kept], refusals: Sequence[Refused]) -> None:
    """Write a group of the door's with what it refused: three statements in the transaction of the caller."""
    append(database, rows)
    if refusals:
        _refuse(database, refusals, Tally())


def write(database: Database, rows: Sequence[Kept], refusals: Sequence[Refused] = (), *, day: int) -> set[bytes]:
    """Claim and write messages on `day` (days since 1970), in the transaction of the caller; at most five statements.

    Returns the digests of `rows` that had been accepted before. Of several `rows` with one digest the first counts.
    """
    fresh = claim(database, [row.digest for row in rows], day=day)
    known = {row.digest for row in rows} - fresh
    first = {row.digest: row for row in reversed(rows)}
    readmit(database, [row for row in rows if first[row.digest] is row and row.digest in fresh])
    tally = Tally((day, row.source_id, DUPLICATE) for row in rows)
    for digest in fresh:
        tally[day, first[digest].source_id, DUPLICATE] -= 1
        tally[day, first[digest].source_id, ACCEPTED] += 1
    _refuse(database, refusals, tally)
    return known


def readmit(database: Database, rows: Sequence[Kept]) -> None:
    """Put rows into the inbox whose digests are claimed already."""
    database.insert(_INBOX, [(*row, True) for row in rows])


def _refuse(database: Database, refusals: Sequence[Refused], tally: Tally[tuple[int, int, str]]) -> None:
    """Write `refusals`, and count them and the `tally`."""
    database.insert_missing(QUARANTINE, refusals)
    tally.update((row.received // DAY, row.source_id, f"rejected:{row.code}") for row in refusals)
    count(database, tally)
