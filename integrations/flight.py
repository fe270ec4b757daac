"""One call for everybody who asks the same at the same time: in a process, and over processes that share a cache.

A failure is shared too, and remembered for a second, so that a crowd does not ask one after the other what just failed.
"""

import threading
import time
from collections.abc import Callable

import msgspec

from integrations.kept import Kept
from integrations.provider import FetchFailed

FAILURE_SECONDS = 1.0
_POLL_SECONDS = 0.01
_UNDER_WAY = b"-"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """An answer that is kept; `profile` None is: no such customer. Times are µs."""

    profile: dict[str, object] | None
    fetched_at: int
    fresh_until: int


class Landed(msgspec.Struct, frozen=True):
    """How a call ended: with an entry, or with the code of a failure."""

    entry: Entry | None
    reason: str = ""


class _Flight:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.landed = Landed(None, "upstream_error")


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode
_flights: dict[str, _Flight] = {}
_boarding = threading.Lock()


def read_entry(kept: Kept, key: str) -> Entry | None:
    """The entry under `key`, fresh or stale."""
    found = kept.get(key)
    return None if found is None else _decode(found)


def fetch_once(
    kept: Kept,
    key: str,
    fetch: Callable[[], tuple[Entry, float]],
    *,
    seconds: float,
    now: int,
) -> Landed:
    """Call `fetch` unless the same is being fetched or has just been fetched; then take what that gave.

    `fetch` gives the entry and for how many seconds to keep it, or raises FetchFailed; `seconds` is the longest that it
    takes. An entry under `key` that is fresh at `now` (µs) is taken without a call.
    """
    with _boarding:
        flight = _flights.get(key)
        leads = flight is None
        if flight is None:
            flight = _flights[key] = _Flight()
    if not leads:
        return flight.landed if flight.done.wait(seconds) else Landed(None, "timeout")
    try:
        flight.landed = _lead(kept, key, fetch, seconds=seconds, now=now)
    finally:
        with _boarding:
            del _flights[key]
        flight.done.set()
    return flight.landed


def _lead(kept: Kept, key: str, fetch: Callable[[], tuple[Entry, float]], *, seconds: float, now: int) -> Landed:
    """For this process. The first process that marks the key calls; the others look every 10 ms how it went."""
    mark = f"{key}:flight"
    deadline = time.monotonic() + seconds
    while not kept.add(mark, _UNDER_WAY, seconds + FAILURE_SECONDS):
        said = kept.get(mark)
        if said is not None and said != _UNDER_WAY:
            return Landed(None, said.decode())
        if time.monotonic() > deadline:
            return Landed(None, "timeout")
        time.sleep(_POLL_SECONDS)
    found = read_entry(kept, key)
    if found is not None and found.fresh_until > now:  # it landed between our look and our mark
        kept.drop(mark)
        return Landed(found)
    try:
        entry, keep = fetch()
    except FetchFailed as error:
        kept.put(mark, error.reason.encode(), FAILURE_SECONDS)
        return Landed(None, error.reason)
    except BaseException:
        kept.drop(mark)
        raise
    kept.put(key, _encode(entry), keep)
    kept.drop(mark)
    return Landed(entry)
