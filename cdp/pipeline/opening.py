"""From the sealed rows of a micro-batch to what their messages say."""

from collections.abc import Mapping

from django.conf import settings

from cdp.access.source import SourceRef
from cdp.core.bulk import Database
from cdp.core.crypto import KeyMissing
from cdp.identities.suppression import suppressed
from cdp.pipeline.batch import Batch, Failure
from cdp.pipeline.message import unseal
from cdp.pipeline.reading import UNREADABLE, Reader

SUPPRESSED = "suppressed"


def read_messages(
    db: Database,
    batch: Batch,
    reader: Reader,
    sources: Mapping[int, SourceRef],
    *,
    nameless: bool,
    suppressing: bool,
) -> None:
    """Fill `batch.readings`; what cannot be read becomes a failure. `suppressing`: some identifiers are suppressed.

    Then a message that carries one of them goes without a trace but a count: one query.
    """
    for row in batch.messages:
        source = sources.get(row.source_id)
        if source is None:
            batch.failures.append(Failure(row, "source_deleted", "The source of this message was deleted."))
            continue
        try:
            envelope = unseal(settings.KEYRING, row.body)
            reading = reader.read(envelope, digest=row.digest, source=source, received=row.received)
        except KeyMissing:
            batch.failures.append(Failure(row, "key_missing", "It was encrypted with a key that is not there."))
            continue
        except UNREADABLE as error:
            batch.failures.append(Failure(row, "unreadable", f"It is no message ({type(error).__name__})."))
            continue
        batch.readings.append(reading)
    if suppressing:
        _leave_out_suppressed(db, batch, reader)
    _require_identifiers(batch, nameless=nameless)


def _leave_out_suppressed(db: Database, batch: Batch, reader: Reader) -> None:
    carried = [reader.suppressible(reading.candidates) for reading in batch.readings]
    hit = suppressed(db, {digest for digests in carried for digest in digests})
    kept = []
    for reading, digests in zip(batch.readings, carried, strict=True):
        if hit.isdisjoint(digests):
            kept.append(reading)
        else:
            batch.note(reading.source.id, SUPPRESSED)
    batch.readings = kept


def _require_identifiers(batch: Batch, *, nameless: bool) -> None:
    waiting = {row.digest: row for row in batch.messages}
    kept = []
    for reading in batch.readings:
        addressed = reading.message.profile_id is not None and reading.source.trusted
        if addressed or nameless or any(candidate.links for candidate in reading.candidates):
            kept.append(reading)
            continue
        reason = "None of its identifiers can be used: each is blocked, or not trusted from this kind of source."
        batch.failures.append(Failure(waiting[reading.digest], "no_usable_identifier", reason))
    batch.readings = kept
