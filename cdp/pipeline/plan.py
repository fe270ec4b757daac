"""Planning a micro-batch: from waiting rows to everything that one transaction has to write.

Reads and thinks without a lock. `write_plan` is called inside the transaction that holds the fence.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from cdp.core.bulk import Database, Deferred
from cdp.core.clock import DAY
from cdp.events.rows import EVENTS, QUARANTINE
from cdp.identities.population import store_population
from cdp.identities.resolve import Population
from cdp.pipeline.batch import Batch, Failure, Waiting
from cdp.pipeline.counters import count
from cdp.pipeline.dedupe import SEEN
from cdp.pipeline.event_row import event_row, redacted_row
from cdp.pipeline.lease import Ground
from cdp.pipeline.opening import read_messages
from cdp.pipeline.placing import place_in_sessions
from cdp.pipeline.reading import Reader
from cdp.pipeline.repeats import drop_repeats
from cdp.pipeline.resolving import resolve_messages
from cdp.profiles.rows import MERGES, store_profiles
from cdp.traits.apply import apply_traits, load_documents, store_documents


def make_plan(
    db: Database, waiting: Sequence[Waiting], base: Ground, *, fence: int, now: int, nameless: bool = False
) -> Batch:
    """Read, decode, resolve, judge, fold in traits and place in sessions: everything but the writing.

    `fence` is the number under which it will be written. `nameless` lets a message without any usable identifier make
    a profile, which only an API user may ask for.
    """
    batch = Batch(now=now, waiting=waiting, fence=fence)
    drop_repeats(batch)
    reader = Reader(base.rules, settings.KEYRING)
    read_messages(db, batch, reader, base.sources, nameless=nameless, suppressing=base.gate.suppressing)
    if batch.readings:
        resolve_messages(db, batch, reader, base.gate)
        _apply_traits(db, batch)
        place_in_sessions(db, batch)
    for failure in batch.failures:
        batch.note(failure.waiting.source_id, f"failed:{failure.code}")
    prepare(batch, db)
    return batch


def prepare(batch: Batch, database: Database) -> None:
    """Put every row together, sealed and all, so that `write` holds its lock only while the store works."""
    db = batch.writes = Deferred(database)
    # Sorted, as everybody does who claims. What was claimed meanwhile is an error: then it is planned again.
    db.insert(SEEN, sorted((row.digest, row.received // DAY) for row in batch.messages if not row.claimed))
    if batch.population is not None:
        _write_identities(db, batch, batch.population)
    store_documents(db, {profile: batch.documents[profile] for profile in batch.changed}, now=batch.now)
    batch.sessions.assign_ids(db)
    batch.sessions.store(db)
    stored = [event_row(*parts) for parts in zip(batch.readings, batch.resolutions, batch.placed, strict=True)]
    db.insert(EVENTS, [*stored, *(redacted_row(reading, purpose) for reading, purpose in batch.redacted)])
    db.insert(QUARANTINE, [_quarantine_row(failure) for failure in batch.failures], conflict=_OPEN_AGAIN)
    db.execute_in("delete from pipeline_inboxmessage where id {in}", [row.id for row in batch.waiting], "bigint")
    count(db, batch.outcomes)


def write_plan(batch: Batch, db: Database) -> None:
    """Write everything, in the transaction that is open under the fence; a constant number of statements."""
    batch.writes.run(db)


def _write_identities(db: Database, batch: Batch, population: Population) -> None:
    people = {profile: population.find(profile) for profile in population.created}
    born = set(population.created)
    moved = {person: final for person, final in population.moved().items() if person not in born}
    db.insert(
        MERGES,
        [
            (
                new.public_id,
                new.target_id,
                new.source_id,
                new.cause,
                "rule",
                True,
                batch.standings.joined_at[new.public_id],
                batch.fence,
                new.event,
                new.via_target,
                new.via_source,
                "",
            )
            for new in population.merges
        ],
    )
    batch.standings.write(db)
    store_profiles(
        db,
        batch.profiles.values(),
        born=people,
        moved=moved,
        described=batch.changed | batch.standings.stated,
        fence=batch.fence,
        now=batch.now,
    )
    store_population(db, population, key_version=settings.KEYRING.current, now=batch.now)


def _apply_traits(db: Database, batch: Batch) -> None:
    speaking = [(r, s.profile_id) for r, s in zip(batch.readings, batch.resolutions, strict=True) if r.traits]
    batch.documents = load_documents(db, {profile for _, profile in speaking})
    for reading, profile in speaking:
        document = batch.documents.setdefault(profile, {})
        changed, refused = apply_traits(
            document,
            reading.traits,
            at=reading.ts,
            source_id=reading.source.id,
            priority=reading.source.priority,
        )
        if changed:
            batch.changed.add(profile)
        if refused:
            reading.warnings.append("traits_left_out")
            batch.note(reading.source.id, "warning:traits_left_out")


# A message that was replayed and fails again is open again.
_OPEN_AGAIN = (
    "on conflict (digest) do update set stage = excluded.stage, status = excluded.status, code = excluded.code,"
    " reason = excluded.reason, body = excluded.body, resolved_at = null"
)


def _quarantine_row(failure: Failure) -> tuple[Any, ...]:
    row = failure.waiting
    return row.digest, row.source_id, row.received, "processing", "open", failure.code, failure.reason, row.body
