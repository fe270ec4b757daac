"""Sending messages in tests: what an SDK would, through the same ways in."""

import itertools
from typing import Any

import msgspec
from django.conf import settings
from django.db.models import QuerySet

from cdp.access.source import SourceRef, source_named
from cdp.core.clock import now_us
from cdp.events.models import QuarantinedMessage
from cdp.pipeline.accept import accept
from cdp.pipeline.check import checked
from cdp.pipeline.lease import database
from cdp.pipeline.message import Envelope, sealer, tail_of
from cdp.pipeline.models import InboxMessage
from cdp.pipeline.process import process_inbox
from cdp.pipeline.spool import collect_spool
from cdp.pipeline.writer import append, kept

_numbers = itertools.count()


def inbox() -> QuerySet[InboxMessage]:
    """The messages that wait, those too that the door has left in a file of its own."""
    collect_spool()
    return InboxMessage.objects.all()


def quarantine() -> QuerySet[QuarantinedMessage]:
    """The messages that could not be used, those too that the door has left in a file of its own."""
    collect_spool()
    return QuarantinedMessage.objects.all()


def message(type_: str = "track", **fields: Any) -> dict[str, Any]:
    """A message with an id of its own; a track without `event` is called Tested."""
    if type_ == "track":
        fields.setdefault("event", "Tested")
    return {"type": type_, "messageId": f"test-{next(_numbers)}", **fields}


def preferring(**categories: Any) -> dict[str, Any]:
    """The context of a message that says which categories are allowed."""
    return {"consent": {"categoryPreferences": categories}}


def deliver(*messages: dict[str, Any], source: SourceRef | None = None, received: int | None = None) -> list[bytes]:
    """Accept `messages` into the inbox; returns their digests. None may be refused."""
    outcomes = accept(
        [msgspec.json.encode(one) for one in messages],
        source=source or source_named("shop"),
        received=received if received is not None else now_us(),
    )
    assert [outcome.status for outcome in outcomes if outcome.status == "rejected"] == []
    return [outcome.digest for outcome in outcomes]


def deliver_by_door(*messages: dict[str, Any], received: int | None = None) -> list[bytes]:
    """Put `messages` into the inbox as the door does, without a look at what is there; returns their digests."""
    source, at = source_named("shop"), received if received is not None else now_us()
    tail = tail_of(Envelope(msgspec.Raw(b"null")))
    found = [
        checked(msgspec.json.encode(one), source=source, received=at, max_bytes=settings.MAX_EVENT_BYTES)
        for one in messages
    ]
    append(database(), [kept(sealer(settings.KEYRING), one, source.id, at, tail) for one in found])
    return [one.digest for one in found]


def send(*messages: dict[str, Any], source: SourceRef | None = None, received: int | None = None) -> list[bytes]:
    """`deliver` and process all that waits."""
    digests = deliver(*messages, source=source, received=received)
    process_inbox()
    return digests
