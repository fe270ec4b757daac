"""The lake in an object store: what a folder can do, a bucket can (LAKE_URL=s3://…)."""

import io
import subprocess
import sys
from importlib.util import find_spec

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdp.core.clock import now_us
from cdp.history.compact import compact_events, compact_people_table
from cdp.history.erase import erase_deleted
from cdp.history.export import Flushed, flush
from cdp.history.old_events import Wanted, old_events
from cdp.history.old_people import versions_of
from cdp.history.purge import purge_hot_events
from cdp.history.tables import open_table, store_id
from cdp.history.tail import forget_tail
from cdp.identities.lookup import find_person
from cdp.lake.delta import EVENTS, PEOPLE
from cdp.privacy.erase import continue_erasures, delete_at_once, erase_person
from cdp.privacy.models import Erasure
from cdp.privacy.proof import verify_receipt
from tests.cdp.history.conftest import history
from tests.sending import message, send

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(find_spec("moto") is None, reason="moto[server] is not installed"),
]


_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def bucket(monkeypatch):
    """The address of an empty bucket of a server of our own, in a process of its own: listing files stops this one."""
    command = [sys.executable, "-c", _SERVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            address = f"http://127.0.0.1:{int(server.stdout.readline())}"
            given = {
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
                "AWS_ALLOW_HTTP": "true",
            }
            for name, value in given.items():
                monkeypatch.setenv(name, value)
            server_of_buckets().create_bucket(Bucket="lake")
            yield "s3://lake/history"
        finally:
            server.kill()


def server_of_buckets():
    """The server as the library of its vendor sees it, not as ours do."""
    import boto3

    return boto3.client("s3", region_name="us-east-1")


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
    assert [version.values for version in versions_of([bob.pk])] == [{"plan": "free"}]
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


def test_the_proof_of_an_erasure_reads_every_file_and_the_log_in_a_bucket(bucket, settings):
    settings.LAKE_URL = bucket
    forget_tail()
    for name in ("ada", "bob"):
        send(
            message("identify", userId=f"user-{name}", traits={"plan": "pro"}),
            message(event="x", userId=f"user-{name}"),
        )
    flush()
    ada = find_person("user_id", "user-ada")
    assert ada is not None
    log = "history/events/_delta_log"
    entry, left_over = f"{log}/00000000000000000000.json", "history/events/month=2026-01/left-over.parquet"
    server = server_of_buckets()
    written = server.get_object(Bucket="lake", Key=entry)["Body"].read()
    planted = written + b'{"commitInfo":{"predicate":"who = user-ada"}}\n'
    server.put_object(Bucket="lake", Key=entry, Body=planted)

    row = erase_person(ada, request=None, actor="test")
    assert (row.status, row.receipt) == ("partial", None)
    assert row.steps["proof"]["problem"] == "Still found: 1 in lake events (log)."
    server.put_object(Bucket="lake", Key=entry, Body=written)
    assert continue_erasures(at_once=True) == 1
    receipt = Erasure.objects.get().receipt
    assert receipt["scanned"]["lake events (log)"] == {
        "looked": {"entries and checkpoints": "decoded and searched"}, "found": 0, "others": 0, "kept": 0,
    }  # fmt: skip
    assert verify_receipt(receipt).holds

    numbers = pa.table({"profile": pa.array([ada.pk, ada.pk + 999], pa.int64())})
    server.put_object(Bucket="lake", Key=left_over, Body=parquet(numbers))  # no state of the table needs it
    assert verify_receipt(receipt).found == {"lake events": 1}
    server.delete_object(Bucket="lake", Key=left_over)
    checkpoint = parquet(pa.table({"metaData": [{"description": f"of {ada.public_id}"}]}))
    server.put_object(Bucket="lake", Key=f"{log}/00000000000000000000.checkpoint.parquet", Body=checkpoint)
    assert verify_receipt(receipt).found == {"lake events (log)": 1}


def parquet(table):
    """The bytes of a Parquet file of `table`."""
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()
