"""When a provider fails several times in a row it is left alone for a while, then one look-up tries again.

The state is on the integration's row, which every process reads once a second; the failures in a row are counted in
each process by itself.
"""

import threading
from typing import Literal

import msgspec

from cdp.core.clock import SECOND, now_us
from integrations.afterwards import later
from integrations.connection import Connection, assume
from integrations.kept import kept
from integrations.models import Integration
from integrations.provider import REASONS, FetchFailed

FAILURES = 5
PAUSE = 30 * SECOND
LONGEST_PAUSE = 600 * SECOND
_COUNTS = frozenset({"timeout", "unreachable", "upstream_error"})
_PROBE_SECONDS = 10.0

_counting = threading.Lock()
_in_a_row: dict[int, int] = {}

State = Literal["closed", "open", "probe"]


def state_of(connection: Connection, now: int) -> State:
    """Whether to call (closed), not to (open), or to try as the only one after a pause (probe)."""
    if connection.paused_until == 0:
        return "closed"
    if now < connection.paused_until:
        return "open"
    return "probe" if kept().add(f"lookup:probe:{connection.id}", b"-", _PROBE_SECONDS) else "open"


def note_success(connection: Connection) -> None:
    """It answered: the circuit is closed."""
    _in_a_row.pop(connection.id, None)
    if connection.paused_until:
        _pause(connection, 0, "", "")


def note_failure(connection: Connection, failure: FetchFailed) -> None:
    """It failed. Opens the circuit after `FAILURES` in a row, at once when it asked for a pause or a try failed."""
    now = now_us()
    if failure.retry_after > 0 or failure.reason == "rate_limited":
        pause = min(int(failure.retry_after * SECOND) or PAUSE, LONGEST_PAUSE)
        _pause(connection, now + pause, failure.reason, failure.message)
    elif failure.reason in _COUNTS:
        with _counting:
            count = _in_a_row[connection.id] = _in_a_row.get(connection.id, 0) + 1
        if count >= FAILURES or connection.paused_until:
            _pause(connection, now + PAUSE, "circuit_open", failure.message)


def forget_failures() -> None:
    """Count from nought in this process."""
    _in_a_row.clear()


def _pause(connection: Connection, until: int, reason: str, message: str) -> None:
    assume(msgspec.structs.replace(connection, paused_until=until, paused_reason=reason))
    kept().drop(f"lookup:probe:{connection.id}")
    later(lambda: _write(connection.id, until, reason, message or REASONS.get(reason, "")))


def _write(pk: int, until: int, reason: str, message: str) -> None:
    said = {"last_error": message, "last_error_at": now_us()} if until else {}
    Integration.objects.filter(pk=pk).update(paused_until=until, paused_reason=reason, **said)
