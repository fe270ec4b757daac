"""The synchronous way in: what imports, the REST API and the tests use; the same rules and rows as the door's."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction

from cdp.access.source import SourceRef
from cdp.core import clock
from cdp.pipeline.check import checked
from cdp.pipeline.lease import database
from cdp.pipeline.message import Envelope, sealer, tail_of
from cdp.pipeline.writer import ACCEPTED, DUPLICATE, kept, refused, write

REJECTED = "rejected"


class Outcome(msgspec.Struct):
    """What became of one message: accepted, duplicate, or rejected with a stable code and a sentence."""

    index: int
    digest: bytes
    status: str
    message_id: str
    code: str = ""
    message: str = ""


def accept(
    raws: Sequence[bytes],
    *,
    source: SourceRef,
    received: int,
    sent_at: object = None,
    context: Mapping[str, Any] | None = None,
    flags: int = 0,
) -> list[Outcome]:
    """Check and store messages (each the JSON of one `Message`) that came at `received` (µs); one outcome for each.

    Unusable ones go to quarantine and harm no other. One transaction on Django's connection, inside the one that is
    open if there is one: durable when that is committed. Raises django.db.Error when the store cannot take them.
    """
    envelope = Envelope(msgspec.Raw(b"null"), sent_at, dict(context) if context else None, flags)
    tail = tail_of(envelope)
    keyring, most = settings.KEYRING, settings.MAX_EVENT_BYTES
    found = [checked(raw, source=source, received=received, max_bytes=most, sent_at=sent_at) for raw in raws]
    seal = sealer(keyring)
    rows = [kept(seal, message, source.id, received, tail) for message in found if not message.code]
    refusals = [refused(keyring, message, source.id, received, envelope) for message in found if message.code]
    with transaction.atomic():
        known = write(database(), rows, refusals, day=received // clock.DAY)
    outcomes = []
    for index, message in enumerate(found):
        status = REJECTED if message.code else DUPLICATE if message.digest in known else ACCEPTED
        if status == ACCEPTED:
            known.add(message.digest)
        outcomes.append(Outcome(index, message.digest, status, message.message_id, message.code, message.reason))
    return outcomes
