"""Messages that are no events, in a package: those that wait to be processed, and those that could not be used.

They belong to no profile yet. A message is the person's when a value in it equals one of their identifiers, as it is
compared or as it was sent, whatever the case.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from django.conf import settings
from django.db.models import QuerySet

from cdp.core.clock import iso
from cdp.core.crypto import KeyMissing
from cdp.events.models import QuarantinedMessage
from cdp.identities.models import Identifier
from cdp.identities.value import open_identifier
from cdp.pipeline.message import UNREADABLE, original, unseal
from cdp.pipeline.models import InboxMessage
from cdp.pipeline.spool import collect_spool
from cdp.privacy.package_part import Part, Record, Subject

_AT_ONCE = 2_000
_TOO_MANY = frozenset({"session_id", "ip_address"})
"""Types whose values many people share: a message with one of them is not known to be the person's."""


class MessageRecord(Record, frozen=True):
    """A message. `problem` says why it could not be used; null while it waits. One that is no JSON is text."""

    received_at: str
    problem: str | None
    message: Any


def _messages(subject: Subject) -> Iterator[MessageRecord]:
    known = _identifiers(subject)
    if not known:
        return
    collect_spool()
    waiting = InboxMessage.objects.order_by("id").values_list("received", "body")
    yield from _found(known, ((received, None, body) for received, body in _each(waiting)))
    unusable = QuarantinedMessage.objects.order_by("id").values_list("received", "reason", "body")
    yield from _found(known, _each(unusable))


def _identifiers(subject: Subject) -> set[str]:
    rows = Identifier.objects.filter(profile_id__in=subject.numbers).exclude(type__code__in=_TOO_MANY)
    bodies = [open_identifier(body) for body in rows.values_list("body", flat=True)]
    return {_spelt(text) for body in bodies for text in (body.value, body.raw) if text.strip()}


def _each(rows: "QuerySet[Any, tuple[Any, ...]]") -> Iterator[tuple[Any, ...]]:
    return rows.iterator(chunk_size=_AT_ONCE)


def _found(known: set[str], rows: Iterable[tuple[Any, ...]]) -> Iterator[MessageRecord]:
    for received, problem, body in rows:
        try:
            envelope = unseal(settings.KEYRING, body)
        except KeyMissing:
            continue  # nobody can read it any more
        if envelope.flags & UNREADABLE:
            text = original(envelope).decode("utf-8", "replace")
            if any(value in text.casefold() for value in known if len(value) > 4):
                yield MessageRecord(iso(received), problem, text)
            continue
        message = msgspec.json.decode(envelope.message)
        if any(_spelt(str(leaf)) in known for leaf in _leaves(message)):
            yield MessageRecord(iso(received), problem, message)


def _leaves(value: Any) -> Iterator[str | int | float]:
    """Texts and numbers in a JSON value; the door bounds how deep it is nested."""
    if isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


def _spelt(text: str) -> str:
    return text.strip().casefold()


MESSAGE_PARTS = (
    Part("messages", "Messages", "Messages about you that wait to be processed, or that we could not use.",
         ("pipeline.InboxMessage", "events.QuarantinedMessage"), MessageRecord, _messages,
         ("received_at", "problem", "message"), given=True),
)  # fmt: skip
