"""The door as a real process: real SDKs, kill -9 while they send, a store that does not take more."""

import itertools
import threading
import time
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
import pytest
import requests
import rudderstack.analytics as rudder
import segment.analytics as segment
from django.conf import settings
from django.db import connection

from cdp.consents.models import ConsentRecord
from cdp.core.clock import parse_time
from cdp.events.models import Event
from cdp.pipeline.message import Message, decode_message, digest_of, unseal
from cdp.pipeline.models import Counter, SeenMessage
from cdp.pipeline.process import process_inbox
from cdp.pipeline.spool import spool_beside
from tests.live import WebServer, keyed_source
from tests.sending import inbox

KILLS = 5
ON_SQLITE = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
SENDERS = 4


def waiting() -> list[Message]:
    rows = inbox().order_by("id")
    return [decode_message(unseal(settings.KEYRING, row.body).message) for row in rows]


@pytest.mark.parametrize("sdk", [segment, rudder], ids=["segment", "rudderstack"])
@pytest.mark.parametrize("gzip", [False, True])
def test_a_real_sdk_sends_every_call(web: WebServer, sdk: Any, gzip: bool):
    source, key = keyed_source()
    errors: list[object] = []
    client = sdk.client.Client(key, host=web.url, gzip=gzip, upload_interval=0.05, on_error=lambda *e: errors.append(e))
    client.identify(user_id="alice", traits={"email": "alice@example.org", "plan": "pro"}, context={"page": {"x": 1}})
    client.track(user_id="alice", event="Order Completed", properties={"revenue": 12.5, "name": "Žalgiris"})
    client.page(anonymous_id="anon-1", category="Docs", name="Start", properties={"url": "https://a.example/"})
    client.screen(user_id="alice", name="Home")
    client.group(user_id="alice", group_id="g1", traits={"name": "Acme"})
    client.alias("anon-1", "alice")
    for n in range(250):
        client.track(user_id=f"user-{n}", event="Bulk", properties={"n": n})
    client.flush()
    client.join()
    assert errors == []
    found = waiting()
    assert [message.type for message in found[:6]] == ["identify", "track", "page", "screen", "group", "alias"]
    assert len(found) == 256
    identified, ordered, viewed, _, grouped, aliased = found[:6]
    within = identified.traits or (identified.context or {}).get("traits")
    assert (identified.user_id, within) == ("alice", {"email": "alice@example.org", "plan": "pro"})
    assert (identified.context or {})["page"] == {"x": 1}
    assert (ordered.event, ordered.properties) == ("Order Completed", {"revenue": 12.5, "name": "Žalgiris"})
    assert (viewed.anonymous_id, viewed.name, viewed.category) == ("anon-1", "Start", "Docs")
    assert (grouped.group_id, grouped.traits or (grouped.context or {}).get("traits")) == ("g1", {"name": "Acme"})
    assert (aliased.previous_id, aliased.user_id) == ("anon-1", "alice")
    assert [(message.properties or {})["n"] for message in found[6:]] == list(range(250))
    rows = inbox().order_by("id")
    assert [bytes(row.digest) for row in rows] == [digest_of(source.id, str(message.message_id)) for message in found]
    said = [parse_time(message.original_timestamp or message.timestamp) for message in found]
    assert all(at is not None and abs(at - rows[0].received) < 120_000_000 for at in said)


class Sender(threading.Thread):
    """Sends numbered messages, each until it is acknowledged, alternating single calls and batches."""

    def __init__(self, url: str, key: str, name: str) -> None:
        super().__init__(name=name)
        self.url, self.key = url, key
        self.acknowledged: list[str] = []
        self.attempts = 0
        self.enough = threading.Event()

    def run(self) -> None:
        with requests.Session() as session:
            session.auth = (self.key, "")
            for n in itertools.count():
                ids = [f"{self.name}-{n}-{part}" for part in range(1 if n % 2 else 7)]
                if self.enough.is_set() or not self._send(session, ids):
                    return

    def _send(self, session: requests.Session, ids: list[str]) -> bool:
        items = [{"type": "track", "event": "Killed", "userId": id_, "messageId": id_} for id_ in ids]
        path, body = ("track", items[0]) if len(items) == 1 else ("batch", {"batch": items})
        while True:
            self.attempts += 1
            try:
                answer = session.post(f"{self.url}/v1/{path}", data=msgspec.json.encode(body), timeout=30)
            except requests.RequestException:
                if self.enough.is_set():
                    return False
                time.sleep(0.01)
                continue
            assert answer.status_code in {200, 503}
            if answer.status_code == 200:
                assert answer.json() == {"success": True, "ok": len(ids), "rejected": []}
                self.acknowledged += ids
                return True


def wait_until(done: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_kill_9_loses_and_doubles_nothing_that_was_acknowledged(transactional_db: None):
    source, key = keyed_source()
    server = WebServer()
    senders = [Sender(server.url, key, f"s{n}") for n in range(SENDERS)]
    for round_ in range(KILLS):
        server.start()
        if round_ == 0:
            for sender in senders:
                sender.start()
        before = sum(len(sender.acknowledged) for sender in senders)
        wait_until(lambda b=before: sum(len(s.acknowledged) for s in senders) > b + 100)
        server.kill()
    with server:
        for sender in senders:
            sender.enough.set()
        for sender in senders:
            sender.join(60)
            assert not sender.is_alive()
    acknowledged = [id_ for sender in senders for id_ in sender.acknowledged]
    assert len(acknowledged) > 100 * KILLS
    assert len(set(acknowledged)) == len(acknowledged)
    opened = Tally(str(message.message_id) for message in waiting())
    assert set(opened) >= set(acknowledged)
    process_inbox()
    stored = Tally(bytes(digest) for digest in Event.objects.values_list("digest", flat=True))
    assert stored == Tally({digest_of(source.id, id_): 1 for id_ in opened})
    assert {bytes(digest) for digest in SeenMessage.objects.values_list("digest", flat=True)} == set(stored)
    counted = dict(Counter.objects.values_list("outcome", "count"))
    repeats = opened.total() - len(opened)
    assert (counted["accepted"], counted.get("duplicate", 0)) == (len(opened), repeats)


def test_a_repeat_after_a_restart_counts_once(transactional_db: None):
    _, key = keyed_source()
    server = WebServer()
    body = {"event": "Once", "userId": "a", "messageId": "m1"}
    for _ in range(2):
        with server:
            assert requests.post(f"{server.url}/v1/track", json=body, auth=(key, ""), timeout=30).status_code == 200
    process_inbox()
    assert Event.objects.count() == 1
    assert dict(Counter.objects.values_list("outcome", "count")) == {"accepted": 1, "duplicate": 1, "processed": 1}


def test_sigterm_answers_what_is_under_way_and_ends_cleanly(transactional_db: None):
    source, key = keyed_source()
    server = WebServer()
    server.start()
    senders = [Sender(server.url, key, f"s{n}") for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    wait_until(lambda: all(len(sender.acknowledged) > 20 for sender in senders))
    assert server.stop() in {0, -15}
    for sender in senders:
        sender.enough.set()
    for sender in senders:
        sender.join(60)
    acknowledged = {digest_of(source.id, id_) for sender in senders for id_ in sender.acknowledged}
    stored = [bytes(digest) for digest in inbox().values_list("digest", flat=True)]
    assert acknowledged <= set(stored)


@contextmanager
def store_locked() -> Iterator[None]:
    """The store takes no write from anybody else."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        import sqlite3

        other = sqlite3.connect(spool_beside(given["NAME"]), isolation_level=None)
        other.execute("begin exclusive")
        try:
            yield
        finally:
            other.execute("rollback")
            other.close()
        return
    named = {"dbname": given["NAME"], "user": given["USER"], "host": given["HOST"], "port": given["PORT"]}
    with psycopg.connect(**named, password=given["PASSWORD"] or None) as other_server:
        other_server.execute("lock table pipeline_inboxmessage in access exclusive mode")
        yield


def post(web: WebServer, key: str, id_: str) -> requests.Response:
    body = {"event": "E", "userId": "a", "messageId": id_}
    return requests.post(f"{web.url}/v1/track", json=body, auth=(key, ""), timeout=30)


def test_a_locked_store_is_503_and_loses_nothing_that_was_acknowledged(web: WebServer):
    source, key = keyed_source()
    assert post(web, key, "before").status_code == 200
    with store_locked():
        answer = post(web, key, "during")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer.json()["message"].endswith(".")
    assert post(web, key, "during").status_code == 200
    assert post(web, key, "after").status_code == 200
    stored = [bytes(digest) for digest in inbox().order_by("id").values_list("digest", flat=True)]
    assert stored == [digest_of(source.id, id_) for id_ in ("before", "during", "after")]


@pytest.mark.skipif(not ON_SQLITE, reason="the disk is the server's")
def test_a_full_disk_is_503_and_loses_nothing_that_was_acknowledged(web: WebServer):
    source, key = keyed_source()
    assert post(web, key, "before").status_code == 200
    with web.no_room():
        answers = [post(web, key, "during") for _ in range(3)]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "store_unavailable")] * 3
    assert [post(web, key, id_).status_code for id_ in ("during", "after")] == [200, 200]
    process_inbox()
    stored = [bytes(digest) for digest in Event.objects.order_by("id").values_list("digest", flat=True)]
    assert stored == [digest_of(source.id, id_) for id_ in ("before", "during", "after")]


def test_a_short_lock_is_only_a_wait(web: WebServer):
    _, key = keyed_source()
    assert post(web, key, "before").status_code == 200
    answers: list[int] = []
    with store_locked():
        sender = threading.Thread(target=lambda: answers.append(post(web, key, "during").status_code))
        sender.start()
        sender.join(0.3)
        assert answers == []
    sender.join(30)
    assert answers == [200]


@pytest.mark.skipif(ON_SQLITE, reason="there is no server to lose")
def test_a_lost_connection_is_made_again(web: WebServer):
    _, key = keyed_source()
    assert post(web, key, "before").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert post(web, key, "after").status_code == 200
    assert inbox().count() == 2


def test_the_rest_of_the_site_is_django_and_a_websocket_is_refused(web: WebServer):
    assert requests.get(f"{web.url}/admin/", timeout=30, allow_redirects=False).status_code == 302
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers = {**upgrade, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert requests.get(f"{web.url}/ws/x", headers=headers, timeout=30).status_code == 404


def test_what_a_real_sdk_says_of_consent_decides_and_reaches_the_ledger(web: WebServer):
    source, key = keyed_source()
    client = segment.client.Client(key, host=web.url, upload_interval=0.05)
    for number, allowed in enumerate((True, False, False, True)):
        context = {"consent": {"categoryPreferences": {"data_processing": allowed, "Advertising": False}}}
        client.track(user_id="alice", event=f"Step {number}", context=context)
    client.track(user_id="alice", event="Step 4")
    client.flush()
    client.join()
    visit = {"type": "page", "anonymousId": "v", "messageId": "gpc-1"}
    answer = requests.post(f"{web.url}/v1/page", json=visit, auth=(key, ""), headers={"Sec-GPC": "1"}, timeout=30)
    assert answer.status_code == 200
    process_inbox()
    assert list(Event.objects.order_by("id").values_list("name", flat=True)) == ["Step 0", "Step 3", "Step 4", "page"]
    assert list(ConsentRecord.objects.order_by("id").values_list("type", "granted", "cause", "source")) == [
        ("DATA_PROCESSING", True, "preferences", source.name),
        ("DATA_PROCESSING", False, "preferences", source.name),
        ("DATA_PROCESSING", True, "preferences", source.name),
        ("THIRD_PARTY_SHARING", False, "gpc", source.name),
    ]
    assert dict(Counter.objects.filter(source_id=source.id).values_list("outcome", "count")) == {
        "accepted": 6,
        "processed": 4,
        "consent:DATA_PROCESSING": 2,
        "warning:unknown_consent_category": 4,
    }
