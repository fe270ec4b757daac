"""Sending messages in tests: what an SDK would, through the same way in."""

import itertools
from typing import Any

import msgspec

from cdp.access.source import SourceRef, source_named
from cdp.core.clock import now_us
from cdp.pipeline.accept import accept
from cdp.pipeline.process import process_inbox

_numbers = itertools.count()


def message(type_: str = "track", **fields: Any) -> dict[str, Any]:
    """A message with an id of its own; a track without `event` is called Tested."""
    if type_ == "track":
        fields.setdefault("event", "Tested")
    return {"type": type_, "messageId": f"test-{next(_numbers)}", **fields}


def deliver(*messages: dict[str, Any], source: SourceRef | None = None, received: int | None = None) -> list[bytes]:
    """Accept `messages` into the inbox; returns their digests. None may be refused."""
    outcomes = accept(
        [msgspec.json.encode(one) for one in messages],
        source=source or source_named("shop"),
        received=received if received is not None else now_us(),
    )
    assert [outcome.status for outcome in outcomes if outcome.status == "rejected"] == []
    return [outcome.digest for outcome in outcomes]


def send(*messages: dict[str, Any], source: SourceRef | None = None, received: int | None = None) -> list[bytes]:
    """`deliver` and process all that waits."""
    digests = deliver(*messages, source=source, received=received)
    process_inbox()
    return digests
