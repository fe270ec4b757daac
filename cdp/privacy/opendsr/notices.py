"""What controllers are still to be told about their requests: read and marked here, sent by `integrations.callbacks`.

A notice follows its request: what it tells is the state at the moment of sending, so a controller that cannot be
reached for a while misses states that have passed, never the last one.
"""

from collections.abc import Iterator

import msgspec
from django.db.models import Case, F, QuerySet, Value, When

from cdp.core.clock import HOUR, MINUTE
from cdp.core.json import encode
from cdp.privacy.models import ControllerNotice
from cdp.privacy.opendsr.certificate import processor_domain, signer
from cdp.privacy.opendsr.orders import STATES, state_of
from cdp.privacy.opendsr.wire import Callback

TRIES = 14
"""After this many in a row without an answer of 2xx the controller is left alone: that is about two days."""
_LONGEST = 6 * HOUR
_FINAL = ("completed", "cancelled")


class Notice(msgspec.Struct, frozen=True):
    """A POST that is due."""

    id: int
    url: str
    body: bytes
    headers: dict[str, str]
    state: str


def due_notices(now: int, *, limit: int = 20) -> Iterator[Notice]:
    """Those that are due at `now` (µs), each claimed before it is given, so that two workers send it once.

    One query when there is none.
    """
    for row in _due(now).select_related("request").order_by("next_at", "id")[:limit]:
        wait = min(MINUTE << row.attempts, _LONGEST)
        claimed = ControllerNotice.objects.filter(pk=row.pk, next_at=row.next_at, attempts=row.attempts)
        if claimed.update(next_at=now + wait, attempts=row.attempts + 1):
            yield _notice(row)


def is_any_due(now: int) -> bool:
    """Whether there is one: one query."""
    return _due(now).exists()


def note_told(notice: Notice, *, now: int) -> None:
    """The controller took it."""
    ControllerNotice.objects.filter(pk=notice.id).update(
        told=notice.state, attempts=0, next_at=now, error="", settled=notice.state in _FINAL
    )


def note_failed(notice: Notice, reason: str) -> None:
    """It did not, because of `reason` (words without personal data); after `TRIES` in a row that was the last try."""
    rows = ControllerNotice.objects.filter(pk=notice.id)
    rows.update(error=reason[:200])
    rows.filter(attempts__gte=TRIES).update(settled=True)


def signed_headers(body: bytes, *, version: int) -> dict[str, str]:
    """The headers that say that `body` is ours; version 1 had another name."""
    name = "OpenGDPR" if version == 1 else "OpenDSR"
    return {f"X-{name}-Processor-Domain": processor_domain(), f"X-{name}-Signature": signer().signature(body)}


def _due(now: int) -> "QuerySet[ControllerNotice]":
    """Not settled, not waiting for another try, and about a request that went on since."""
    states = [When(request__status=status, then=Value(state)) for status, state in STATES.items()]
    rows = ControllerNotice.objects.filter(settled=False, next_at__lte=now).alias(state=Case(*states))
    return rows.exclude(told=F("state"))


def _notice(row: ControllerNotice) -> Notice:
    state = state_of(row.request, version=row.version)
    told = {name: getattr(state, name) for name in state.__struct_fields__}
    body = encode(Callback(status_callback_url=row.url, **told))
    headers = {"Content-Type": "application/json", **signed_headers(body, version=row.version)}
    return Notice(row.pk, row.url, body, headers, state.request_status)
