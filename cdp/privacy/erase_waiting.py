"""Messages that wait in the inbox or in quarantine: each is opened, and those of erased people go.

A message belongs to whom its user id, e-mail, phone or external ids say; one with none of these to whom its device or
anonymous id belongs, if nobody else has that. The rest of it may be anything: what cannot be read as a message is
searched as text.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.conf import settings

from cdp.access.source import SourceRef
from cdp.core.bulk import Database
from cdp.core.crypto import KeyMissing
from cdp.identities.suppression import KINDS
from cdp.pipeline.lease import database, ground
from cdp.pipeline.message import Envelope, original, unseal
from cdp.pipeline.reading import Reader
from cdp.pipeline.spool import collect_spool
from cdp.privacy.erase_work import Gone, Work

CHUNK = 2_000
_SHORTEST = 5
"""A shorter value is not searched for in text that is no message: it would be found everywhere."""
STORES = ("pipeline_inboxmessage", "events_quarantinedmessage")


@dataclass
class Carried:
    """How far each store was looked through, and the rows that carry somebody: row → erasure."""

    upto: dict[str, int] = field(default_factory=dict)
    rows: dict[str, dict[int, int]] = field(default_factory=lambda: {store: {} for store in STORES})
    seen: Counter[str] = field(default_factory=Counter)


def look_through(work: Work, *, after: Carried | None = None) -> Carried:
    """Open every message that waits; with `after`, what came since is added to that."""
    collect_spool()
    db = database()
    carried = after or Carried()
    whose = Whose(db, work)
    for store in STORES:
        for row_id, source_id, received, body in _rows(db, store, carried.upto.get(store, 0)):
            carried.upto[store] = row_id
            carried.seen[store] += 1
            erasure = whose.message(body, source_id=source_id, received=received)
            if erasure is not None:
                carried.rows[store][row_id] = erasure
    return carried


def forget_waiting_rows(db: Database, carried: Carried, *, only: set[int]) -> Gone:
    """Delete the rows that carry one of the erasures `only`, under the fence that is held."""
    gone: Gone = {}
    for store, rows in carried.rows.items():
        mine = {row: erasure for row, erasure in rows.items() if erasure in only}
        there = [row[0] for row in db.rows_in(f"select id from {store} where id {{in}}", mine, "bigint")]
        db.execute_in(f"delete from {store} where id {{in}}", there, "bigint")
        for row in there:
            gone.setdefault(mine[row], Counter())[store] += 1
    return gone


class Whose:
    """Says whose a message is, among the people of `work`."""

    def __init__(self, db: Database, work: Work) -> None:
        base = ground(db)
        self._sources: Mapping[int, SourceRef] = base.sources
        self._reader = Reader(base.rules, settings.KEYRING)
        self._digests = work.by_digest()
        self._profiles = {p: pk for pk, subject in work.subjects.items() for p in subject.trace.public_ids}
        self._texts = [
            (pattern(text), pk)
            for pk, subject in work.subjects.items()
            for text in subject.values()
            if len(text) >= _SHORTEST
        ]

    def message(self, body: bytes | memoryview, *, source_id: int | None, received: int) -> int | None:
        """The erasure that a sealed message belongs to, or None. One under a key that is gone is nobody's."""
        try:
            envelope = unseal(settings.KEYRING, body)
        except KeyMissing:
            return None
        try:
            source = self._sources.get(source_id or 0, _NOBODY)
            reading = self._reader.read(envelope, digest=b"", source=source, received=received)
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, UnicodeError):
            return self._by_text(envelope)
        named = self._profiles.get(str(reading.message.profile_id))
        if named is not None:
            return named
        strong = [c for c in reading.candidates if c.kind.code in KINDS]
        for candidate in strong or reading.candidates:
            found = self._digests.get(candidate.digest)
            if found is not None:
                return found
        return None if strong else self._by_text(envelope)

    def _by_text(self, envelope: Envelope) -> int | None:
        raw = original(envelope)
        return next((erasure for said, erasure in self._texts if said.search(raw)), None)


def pattern(text: str) -> re.Pattern[bytes]:
    """The value as a word of its own, in any case."""
    return re.compile(rb"(?<![a-z0-9])" + re.escape(text.encode()) + rb"(?![a-z0-9])", re.IGNORECASE)


_NOBODY = SourceRef(id=0, name="", trusted=True, priority=100)


def _rows(db: Database, store: str, last: int) -> Iterator[tuple[Any, ...]]:
    sql = f"select id, source_id, received, body from {store} where id > ? order by id limit ?"
    while rows := db.rows(sql, (last, CHUNK)):
        yield from rows
        last = rows[-1][0]
