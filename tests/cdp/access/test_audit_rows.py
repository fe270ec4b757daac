"""Entries that come together are written together, each durable when its call returns; an error is its caller's."""

import threading
import time

import pytest
from django.db import DatabaseError, connection

from cdp.access import audit_rows
from cdp.access.audit import record_change, record_read
from cdp.access.audit_verify import verify
from cdp.access.models import AuditEntry
from cdp.access.rights import Rights

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("data_dir")]
RIGHTS = Rights(True, frozenset({"read"}), "key:1")


def read(request, person):
    record_read(RIGHTS, object_type="profile", object_ids=[person], fields=["email"], request=request)


def until(condition):
    """Wait for other threads."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.001)


def at_once(*jobs):
    """Run each in a thread of its own; returns what each raised."""
    raised = [None] * len(jobs)

    def run(number):
        try:
            jobs[number]()
        except BaseException as error:
            raised[number] = type(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return raised


@pytest.fixture
def groups(monkeypatch):
    """The sizes of the groups that are written; the first waits until all others have been handed in."""
    sizes, waiting_for = [], [0]
    insert = audit_rows._insert

    def held(rows):
        if not sizes:
            until(lambda: len(audit_rows._waiting) >= waiting_for[0])
        sizes.append(len(rows))
        insert(rows)

    monkeypatch.setattr(audit_rows, "_insert", held)
    return sizes, waiting_for


def test_those_who_wait_are_written_in_one_statement(rf, groups):
    sizes, waiting_for = groups
    waiting_for[0] = 5
    assert at_once(*[lambda n=n: read(rf.get("/"), f"p{n}") for n in range(6)]) == [None] * 6
    assert sizes == [1, 5]
    assert sorted(row.object_ids for row in AuditEntry.objects.all()) == [[f"p{n}"] for n in range(6)]
    assert (verify().problem, verify().waiting, audit_rows._waiting) == ("", 6, [])


def test_when_the_store_fails_one_the_others_are_written(rf, monkeypatch):
    insert, failures = audit_rows._insert, []

    def failing(rows):
        if not failures:
            until(lambda: len(audit_rows._waiting) + len(rows) >= 4)
            failures.append(rows)
            raise DatabaseError
        insert(rows)

    monkeypatch.setattr(audit_rows, "_insert", failing)
    raised = at_once(*[lambda n=n: read(rf.get("/"), f"p{n}") for n in range(4)])
    assert sorted(map(str, raised)) == sorted(map(str, [DatabaseError, None, None, None]))
    lost = raised.index(DatabaseError)
    kept = sorted(row.object_ids[0] for row in AuditEntry.objects.all())
    assert kept == [f"p{n}" for n in range(4) if n != lost]
    assert audit_rows._waiting == []


def test_nothing_is_kept_that_a_store_cannot_hold():
    record_change(
        "user:1" + "x" * 200, action="a\0b", object_type="t", object_ids=["\ud800"], fields=["ą"], why="w" * 600
    )
    row = AuditEntry.objects.get()
    assert (len(row.actor), row.action, row.object_ids, row.fields, len(row.why)) == (150, "ab", ["?"], ["ą"], 500)
    assert verify().problem == ""
