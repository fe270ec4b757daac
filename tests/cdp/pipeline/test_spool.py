"""The door's own file on SQLite: everything in it moves into the inbox, once, whatever happens on the way."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest
import requests
from django.conf import settings as configured
from django.db import connection, transaction

from cdp.access.source import SourceRef
from cdp.core.bulk import Database
from cdp.core.clock import DAY, now_us
from cdp.events.models import Event, QuarantinedMessage
from cdp.pipeline.check import checked
from cdp.pipeline.message import Envelope, sealer, tail_of
from cdp.pipeline.models import Counter, InboxMessage, SpoolMark
from cdp.pipeline.own_connection import SqliteConnection
from cdp.pipeline.process import process_batch, process_inbox
from cdp.pipeline.spool import append_spooled, collect_spool, open_spool, spool_path, spooled
from cdp.pipeline.writer import Kept, Refused, kept
from tests.live import WebServer, keyed_source
from tests.sending import message

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        configured.DATABASES["default"]["ENGINE"].endswith("postgresql"), reason="PostgreSQL has no spool"
    ),
]
NOW = now_us()


@pytest.fixture
def door() -> Iterator[SqliteConnection]:
    with closing(SqliteConnection(connection.settings_dict["NAME"])) as opened:
        yield opened


@pytest.fixture
def source() -> SourceRef:
    return keyed_source()[0]


def rows(source: SourceRef, *users: str) -> list[Kept]:
    tail = tail_of(Envelope(msgspec.Raw(b"null")))
    found = [
        checked(msgspec.json.encode(message(userId=user)), source=source, received=NOW, max_bytes=10_000)
        for user in users
    ]
    return [kept(sealer(configured.KEYRING), one, source.id, NOW + n, tail) for n, one in enumerate(found)]


def refusal(source: SourceRef, name: str) -> Refused:
    digest = name.encode().ljust(16, b".")
    return Refused(digest, source.id, NOW, "door", "open", "invalid_message", "It is none.", b"sealed")


def waiting() -> list[bytes]:
    return [bytes(digest) for digest in InboxMessage.objects.order_by("id").values_list("digest", flat=True)]


def left() -> list[int]:
    path = spool_path()
    assert path is not None
    with closing(sqlite3.connect(path)) as spool:
        return [
            spool.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("pipeline_inboxmessage", "refusal")
        ]


def test_messages_move_in_their_order_and_leave_the_file(door: SqliteConnection, source: SourceRef):
    first, second = rows(source, "a", "b", "c"), rows(source, "d")
    door.write(first, [])
    door.write(second, [refusal(source, "x")])
    assert (spooled(), door.backlog(), waiting()) == ((4, NOW), 4, [])
    assert collect_spool() == 4
    assert waiting() == [row.digest for row in [*first, *second]]
    assert [bytes(row.digest) for row in QuarantinedMessage.objects.all()] == [refusal(source, "x").digest]
    counted = Counter.objects.values_list("day", "source_id", "outcome", "count")
    assert list(counted) == [(NOW // DAY, source.id, "rejected:invalid_message", 1)]
    assert (left(), spooled(), door.backlog()) == ([0, 0], (0, None), 4)
    assert collect_spool() == 0


def test_what_was_moved_and_not_deleted_does_not_move_again(door: SqliteConnection, source: SourceRef):
    """As after a `kill -9` between the two transactions."""
    door.write(rows(source, "a", "b"), [refusal(source, "x")])
    path = spool_path()
    assert path is not None
    with closing(sqlite3.connect(path)) as spool:
        spool.execute("pragma wal_checkpoint(truncate)")
    before = path.with_suffix(".before")
    shutil.copy(path, before)
    assert collect_spool() == 2
    moved = waiting()
    with closing(sqlite3.connect(before)) as old, closing(sqlite3.connect(path)) as spool:
        old.backup(spool)
    door.write(rows(source, "c"), [])
    assert left() == [3, 1]
    assert collect_spool() == 1
    assert (waiting()[:2], len(waiting()), left()) == (moved, 3, [0, 0])
    assert Counter.objects.get(outcome="rejected:invalid_message").count == 1


def test_a_move_that_is_undone_leaves_them_at_the_door(door: SqliteConnection, source: SourceRef):
    door.write(rows(source, "a", "b"), [])
    with transaction.atomic():
        assert collect_spool() == 2
        transaction.set_rollback(True)
    assert (waiting(), left(), SpoolMark.objects.count()) == ([], [2, 0], 0)
    assert (collect_spool(), left()) == (2, [0, 0])


def test_a_new_file_is_not_taken_for_the_one_that_was_lost(door: SqliteConnection, source: SourceRef):
    """Made new in its place: the file itself stays, a web process that tests share has it open."""
    door.write(rows(source, "a", "b"), [])
    assert collect_spool() == 2
    path = spool_path()
    assert path is not None
    with closing(open_spool(path)) as spool:
        spool.execute("update spool set name = lower(hex(randomblob(16)))")
        spool.execute("update sqlite_sequence set seq = 0")
        append_spooled(Database(spool, postgres=False), rows(source, "c"), [])
    assert (collect_spool(), len(waiting()), left()) == (1, 3, [0, 0])


def test_an_older_copy_of_the_file_loses_nothing_that_comes_later(door: SqliteConnection, source: SourceRef):
    """As when both files come back from a backup, of which this one was made first."""
    path = spool_path()
    assert path is not None
    door.write(rows(source, "a", "b"), [refusal(source, "x")])
    with closing(sqlite3.connect(path)) as spool:
        spool.execute("pragma wal_checkpoint(truncate)")
    before = path.with_suffix(".before")
    shutil.copy(path, before)
    door.write(rows(source, "c", "d", "e"), [refusal(source, "y")])
    assert collect_spool() == 5
    door.close()
    with closing(sqlite3.connect(before)) as old, closing(sqlite3.connect(path)) as spool:
        old.backup(spool)
    with closing(SqliteConnection(connection.settings_dict["NAME"])) as again:
        later = rows(source, "f")
        again.write(later, [refusal(source, "z")])
    assert (collect_spool(), waiting()[5:], left()) == (1, [later[0].digest], [0, 0])
    assert QuarantinedMessage.objects.count() == 3


def test_two_who_collect_at_once_move_each_message_once(door: SqliteConnection, source: SourceRef):
    sent = rows(source, *(f"u{n}" for n in range(12_000)))
    door.write(sent, [])
    moved: list[int] = []

    def collect() -> None:
        try:
            moved.append(collect_spool())
        finally:
            connection.close()

    threads = [threading.Thread(target=collect) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(moved), left()) == (12_000, [0, 0])
    assert waiting() == [row.digest for row in sent]


def test_the_processor_takes_what_is_at_the_door(door: SqliteConnection, source: SourceRef):
    door.write(rows(source, "a", "b"), [])
    assert process_inbox() == 2
    assert Event.objects.count() == 2


def test_a_long_backlog_does_not_keep_the_door_waiting(door: SqliteConnection, source: SourceRef):
    door.write(rows(source, "a", "b", "c"), [])
    collect_spool()
    door.write(rows(source, "d"), [])
    taken = process_batch(2)
    while (more := process_batch(2)) > 0:
        taken += more
    assert (taken, Event.objects.count()) == (4, 4)


def test_a_locked_database_does_not_stop_the_door(source: SourceRef):
    """The same write lock that a long micro-batch holds."""
    with WebServer() as server:
        _, key = keyed_source("other")

        def send() -> tuple[int, str]:
            url = f"{server.url}/v1/track"
            answer = requests.post(url, json=message(userId="a"), auth=(key, ""), timeout=30)
            return answer.status_code, answer.text

        first = send()
        with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
            other.execute("begin immediate")
            second = send()
            other.execute("rollback")
    assert first == second == (200, '{"success":true,"ok":1,"rejected":[]}')
    assert process_inbox() == 2
