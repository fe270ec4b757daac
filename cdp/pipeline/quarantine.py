"""Quarantined messages: corrected and replayed, each at most once, or discarded. Nothing is deleted."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from django.conf import settings
from django.db import transaction

from cdp.access.audit import record_change
from cdp.access.models import Source
from cdp.access.source import SourceRef
from cdp.core.clock import DAY, now_us
from cdp.core.crypto import KeyMissing
from cdp.core.errors import Invalid
from cdp.events.models import QuarantinedMessage
from cdp.identities.suppression import Suppressed
from cdp.pipeline.check import checked
from cdp.pipeline.erased import erased_among
from cdp.pipeline.lease import database
from cdp.pipeline.message import UNREADABLE, Envelope, original, seal, unseal
from cdp.pipeline.writer import Kept, readmit, write

_OPEN = QuarantinedMessage.Status.OPEN
_REPLAYED = QuarantinedMessage.Status.REPLAYED
_DISCARDED = QuarantinedMessage.Status.DISCARDED
_PROCESSING = QuarantinedMessage.Stage.PROCESSING


class StillRefused(msgspec.Struct, frozen=True):
    """A message that is no better than before: why, with a stable code."""

    id: int
    code: str
    message: str


class Replay(msgspec.Struct, frozen=True):
    """What became of the rows of a replay, by id. `skipped` are not open, or are not there."""

    replayed: tuple[int, ...] = ()
    duplicates: tuple[int, ...] = ()
    refused: tuple[StillRefused, ...] = ()
    skipped: tuple[int, ...] = ()


def quarantined_text(row: QuarantinedMessage) -> bytes:
    """The message of a row as it came, in clear: personal data. Raises KeyMissing."""
    return original(unseal(settings.KEYRING, row.body))


def replay(ids: Sequence[int], *, corrected: bytes | None = None, actor: str) -> Replay:
    """Check open rows again and put the good ones into the inbox, in one transaction; the others stay open.

    `corrected` is the JSON that replaces the message of a single row; it keeps the row's digest, source and time. A
    message whose digest was accepted meanwhile is a duplicate: its row is replayed, too. Raises Invalid for
    `corrected` with several ids.
    """
    if corrected is not None and len(ids) != 1:
        raise Invalid("Correct one message at a time.", code="one_at_a_time")
    now = now_us()
    with transaction.atomic():
        rows = _open(ids)
        sources = {source.pk: SourceRef.of(source) for source in Source.objects.filter(pk__in=_sources(rows))}
        ready: list[tuple[QuarantinedMessage, Kept]] = []
        refused: list[StillRefused] = []
        for row in rows:
            found = _ready(row, corrected, sources)
            if isinstance(found, StillRefused):
                refused.append(found)
            else:
                ready.append((row, found))
        ready = _without_erased(ready, sources, refused, now=now)
        known = _store(ready, day=now // DAY)
        done = [row.pk for row, _ in ready]
        QuarantinedMessage.objects.filter(pk__in=done).update(status=_REPLAYED, resolved_at=now)
        _record("replay", done, actor=actor)
    duplicates = tuple(row.pk for row, kept in ready if kept.digest in known)
    return Replay(
        replayed=tuple(sorted(set(done) - set(duplicates))),
        duplicates=duplicates,
        refused=tuple(refused),
        skipped=tuple(sorted(set(ids) - {row.pk for row in rows})),
    )


def discard(ids: Sequence[int], *, actor: str) -> int:
    """Mark open rows as discarded; returns how many. They stay readable."""
    now = now_us()
    with transaction.atomic():
        rows = [row.pk for row in _open(ids)]
        QuarantinedMessage.objects.filter(pk__in=rows).update(status=_DISCARDED, resolved_at=now)
        _record("discard", rows, actor=actor)
    return len(rows)


def _open(ids: Sequence[int]) -> list[QuarantinedMessage]:
    """The open rows of `ids`, locked until the transaction ends, so that nobody else resolves them."""
    rows = QuarantinedMessage.objects.select_for_update(of=("self",)).filter(pk__in=ids, status=_OPEN)
    return list(rows.order_by("pk"))


def _sources(rows: Iterable[QuarantinedMessage]) -> set[int]:
    return {row.source_id for row in rows if row.source_id is not None}


def _ready(row: QuarantinedMessage, corrected: bytes | None, sources: Mapping[int, SourceRef]) -> Kept | StillRefused:
    """The inbox row of a quarantined one, or why there can be none."""
    source = sources.get(row.source_id or 0)
    if source is None:
        return StillRefused(row.pk, "source_deleted", "The source of this message was deleted.")
    try:
        envelope = unseal(settings.KEYRING, row.body)
    except KeyMissing:
        return StillRefused(row.pk, "key_missing", "It was encrypted with a key that is not there.")
    raw = original(envelope) if corrected is None else corrected
    most = settings.MAX_EVENT_BYTES
    message = checked(raw, source=source, received=row.received, max_bytes=most, sent_at=envelope.sent_at)
    if message.code:
        return StillRefused(row.pk, message.code, message.reason)
    good: Envelope = msgspec.structs.replace(
        envelope, message=msgspec.Raw(message.raw), flags=envelope.flags & ~UNREADABLE
    )
    return Kept(bytes(row.digest), source.id, row.received, seal(settings.KEYRING, good))


def _without_erased(
    ready: Sequence[tuple[QuarantinedMessage, Kept]],
    sources: Mapping[int, SourceRef],
    refused: list[StillRefused],
    *,
    now: int,
) -> list[tuple[QuarantinedMessage, Kept]]:
    """Those of `ready` that carry no identifier of somebody who was erased; the others go to `refused`."""
    envelopes = [unseal(settings.KEYRING, kept.body) for _, kept in ready]
    asked = [
        (bytes(one.message), one, sources[kept.source_id]) for one, (_, kept) in zip(envelopes, ready, strict=True)
    ]
    erased = erased_among(database(), asked, now=now)
    refusal = Suppressed()
    refused += [
        StillRefused(row.pk, refusal.code, refusal.message)
        for (row, _), kept_out in zip(ready, erased, strict=True)
        if kept_out
    ]
    return [one for one, kept_out in zip(ready, erased, strict=True) if not kept_out]


def _store(ready: Iterable[tuple[QuarantinedMessage, Kept]], *, day: int) -> set[bytes]:
    """Put the rows into the inbox; returns the digests that were there. A failed message has claimed its own."""
    db = database()
    by_stage: dict[bool, list[Kept]] = {True: [], False: []}
    for row, kept in ready:
        by_stage[row.stage == _PROCESSING].append(kept)
    readmit(db, by_stage[True])
    return write(db, by_stage[False], day=day)


def _record(action: str, ids: Sequence[int], *, actor: str) -> None:
    if ids:
        record_change(actor, action=action, object_type="quarantine", object_ids=ids, fields=["message"])
