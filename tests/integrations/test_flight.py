"""One call for everybody: over processes too, as they share a cache."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from integrations.flight import Entry, Landed, fetch_once, read_entry
from integrations.kept import Kept, ProcessKept
from integrations.provider import FetchFailed

ENTRY = Entry({"a": 1}, 5, 100)


def fly(kept: Kept, fetch, *, key: str = "k", now: int = 10, seconds: float = 5.0) -> Landed:
    return fetch_once(kept, key, fetch, seconds=seconds, now=now)


def test_a_fetched_entry_is_kept():
    kept = ProcessKept()
    assert fly(kept, lambda: (ENTRY, 60)) == Landed(ENTRY)
    assert read_entry(kept, "k") == ENTRY


def test_one_that_is_fresh_already_is_taken():
    kept = ProcessKept()
    fly(kept, lambda: (ENTRY, 60))
    assert fly(kept, pytest.fail, now=99) == Landed(ENTRY)
    newer = Entry(None, 101, 200)
    assert fly(kept, lambda: (newer, 60), now=100) == Landed(newer)


def test_a_failure_is_remembered_for_a_second(monkeypatch: pytest.MonkeyPatch):
    kept = ProcessKept()
    clock = [1000.0]
    monkeypatch.setattr("integrations.kept.time.monotonic", lambda: clock[0])
    calls = []

    def fails() -> tuple[Entry, float]:
        calls.append(1)
        raise FetchFailed("timeout")

    assert [fly(kept, fails).reason for _ in range(3)] == ["timeout"] * 3
    assert len(calls) == 1
    clock[0] += 1.01
    assert fly(kept, lambda: (ENTRY, 60)) == Landed(ENTRY)


def test_what_breaks_unexpectedly_does_not_block_the_next():
    kept = ProcessKept()

    def breaks() -> tuple[Entry, float]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fly(kept, breaks)
    assert fly(kept, lambda: (ENTRY, 60)) == Landed(ENTRY)


def test_another_process_that_fetches_is_waited_for():
    kept = ProcessKept()
    kept.add("k:flight", b"-", 5)
    other = threading.Timer(0.1, lambda: (kept.put("k", _packed(), 60), kept.drop("k:flight")))
    other.start()
    assert fly(kept, pytest.fail) == Landed(ENTRY)
    other.join()


def test_another_process_that_fails_is_believed():
    kept = ProcessKept()
    kept.add("k:flight", b"-", 5)
    other = threading.Timer(0.1, lambda: kept.put("k:flight", b"unreachable", 1))
    other.start()
    assert fly(kept, pytest.fail) == Landed(None, "unreachable")
    other.join()


def test_another_process_that_was_killed_is_not_waited_for_longer_than_a_call_takes():
    kept = ProcessKept()
    kept.add("k:flight", b"-", 60)
    start = time.monotonic()
    assert fly(kept, pytest.fail, seconds=0.2) == Landed(None, "timeout")
    assert time.monotonic() - start < 2


def test_many_threads_of_one_process():
    kept, calls = ProcessKept(), []
    ready = threading.Barrier(50)

    def fetch() -> tuple[Entry, float]:
        calls.append(1)
        time.sleep(0.05)
        return ENTRY, 60

    def ask(_: int) -> Landed:
        ready.wait()
        return fly(kept, fetch)

    with ThreadPoolExecutor(50) as threads:
        landed = list(threads.map(ask, range(50)))
    assert (len(calls), set(map(repr, landed))) == (1, {repr(Landed(ENTRY))})


class TestKept:
    def test_is_bounded_and_the_least_used_goes(self):
        kept = ProcessKept(3)
        for name in "abc":
            kept.put(name, name.encode(), 60)
        kept.get("a")
        kept.put("d", b"d", 60)
        assert [kept.get(name) for name in "abcd"] == [b"a", None, b"c", b"d"]

    def test_ends(self, monkeypatch: pytest.MonkeyPatch):
        kept = ProcessKept()
        clock = [1000.0]
        monkeypatch.setattr("integrations.kept.time.monotonic", lambda: clock[0])
        kept.put("a", b"a", 10)
        assert (kept.get("a"), kept.add("a", b"b", 10)) == (b"a", False)
        clock[0] += 10
        assert (kept.get("a"), kept.add("a", b"b", 10), kept.get("a")) == (None, True, b"b")


def _packed() -> bytes:
    return msgspec.msgpack.encode(ENTRY)
