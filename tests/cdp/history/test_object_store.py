"""The lake in an object store: what a folder can do, a bucket can (LAKE_URL=s3://…)."""

import urllib.request
from importlib.util import find_spec

import pytest

from cdp.core.clock import now_us
from cdp.history.compact import compact_events, compact_people_table
from cdp.history.erase import erase_deleted
from cdp.history.export import Flushed, flush
from cdp.history.old_events import Wanted, old_events
from cdp.history.purge import purge_hot_events
from cdp.history.tables import open_table, store_id
from cdp.history.tail import forget_tail
from cdp.identities.lookup import find_person
from cdp.lake.delta import EVENTS, PEOPLE
from cdp.privacy.erase import delete_at_once
from tests.cdp.history.conftest import history
from tests.sending import message, send

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(find_spec("moto") is None, reason="moto[server] is not installed"),
]


@pytest.fixture
def bucket(monkeypatch):
    """The address of an empty bucket of a server of our own."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        request = urllib.request.Request(f"{address}/lake", method="PUT")
        urllib.request.urlopen(request).close()
        given = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        yield "s3://lake/history"
    finally:
        server.stop()


def test_flush_read_compact_purge_and_erase_in_a_bucket(bucket, settings):
    settings.LAKE_URL = bucket
    forget_tail()
    send(
        message("identify", userId="alice", traits={"plan": "pro", "score": 7}),
        message(event="Order Completed", userId="alice", properties={"revenue": 12.5}, timestamp="2026-01-05"),
        message("identify", userId="bob", traits={"plan": "free"}),
    )
    before = history()
    assert flush() == Flushed(events=3, people=2)
    assert history() == before
    send(message(event="Looked", userId="bob"))
    assert flush() == Flushed(events=1, people=0)
    after = history()
    assert len(after["events"]) == 4
    compact_events(everything=True)
    assert compact_people_table(everything=True) == 1
    assert history() == after
    settings.HOT_EVENT_DAYS = 1
    assert purge_hot_events(now_us()) == 1
    assert history() == after
    assert [event.name for event in old_events(Wanted(name="Order Completed"), limit=5)] == ["Order Completed"]

    bob = find_person("user_id", "bob")
    assert bob is not None
    delete_at_once([bob], actor="user:1")
    assert erase_deleted() > 0
    store = store_id()
    events, people = open_table(EVENTS, store=store), open_table(PEOPLE, store=store)
    assert events is not None
    assert people is not None
    assert bob.pk not in events.dataset().to_table(columns=["profile"])["profile"].to_pylist()
    kept = people.dataset().to_table(columns=["person", "gone"]).to_pylist()
    assert {row["person"] for row in kept if not row["gone"]} == {row["person"] for row in history()["people"]}
    assert all(file.place.startswith("s3://lake/history/") for file in events.files())
