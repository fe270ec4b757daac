"""Lake and tail together are the operational store, wherever the border between them lies."""

import pyarrow as pa
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cdp.core.bulk import Database
from cdp.core.clock import DAY, now_us
from cdp.events.body import open_said
from cdp.history import event_rows
from cdp.history.compact import compact_events, compact_people_table
from cdp.history.erase import erase_deleted
from cdp.history.export import Flushed, flush
from cdp.history.models import LakeState
from cdp.history.purge import purge_hot_events
from cdp.history.reading import database
from cdp.history.snapshot import snapshot
from cdp.history.tail import forget_tail
from cdp.identities.lookup import find_person
from cdp.pipeline.expiry import describe_expired
from cdp.pipeline.lease import exclusive, mark_described
from cdp.pipeline.merge import merge_people, unmerge
from cdp.privacy.erase import delete_at_once
from cdp.profiles.models import Profile
from tests.cdp.history.conftest import history
from tests.factories import traits
from tests.sending import message, send

pytestmark = pytest.mark.django_db


def person(name):
    found = find_person("user_id", name)
    assert found is not None
    return found


def traits_of(rows):
    return {row["person"]: dict(row["text"]) | dict(row["num"]) for row in rows["people"]}


def test_the_same_before_and_after_a_flush():
    send(
        message(
            "identify", userId="alice", traits={"plan": "pro", "age": 41, "score": 7, "email": "alice@example.com"}
        ),
        message("track", event="Order Completed", userId="alice", properties={"revenue": 12.5, "currency": "eur"}),
        message("track", event="Looked", anonymousId="visitor"),
    )
    alice = person("alice")
    before = history()
    assert [row["event"] for row in before["events"]] == ["identify", "Order Completed", "Looked"]
    assert traits_of(before)[alice.pk] == {"plan": "pro", "score": 7.0}
    assert flush() == Flushed(events=3, people=2)
    assert history() == before
    assert flush() == Flushed(events=0, people=0)
    send(message("identify", anonymousId="visitor", userId="alice", traits={"plan": "free"}))
    after = history()
    assert traits_of(after) == {alice.pk: {"plan": "free", "score": 7.0}}
    assert after["moved"] == [{"profile": Profile.objects.exclude(pk=alice.pk).get().pk, "person": alice.pk}]
    flush()
    assert history() == after


def test_whatever_happens_between_flushes_and_compactions():
    """The whole life of three people, looked at after every step from the lake and from the store alone."""
    names = ("alice", "bob", "carol")
    steps = [
        lambda: send(
            *(message("identify", userId=name, traits={"called": name, "n": n}) for n, name in enumerate(names))
        ),
        lambda: send(*(message(event="Looked", userId=name, properties={"by": name}) for name in names)),
        lambda: merge_people(person("alice").public_id, [person("bob").public_id], strategy="oldest", actor="test"),
        lambda: send(message("identify", userId="bob", traits={"n": 9, "tags": ["a", "b"]})),
        lambda: unmerge(Profile.objects.get(pk=person("alice").pk).merges_as_target.get().public_id, actor="test"),
        lambda: send(message("identify", userId="alice", traits={"n": 12})),
        lambda: delete_at_once([person("carol")], actor="test"),
        lambda: send(message(event="Order Completed", userId="bob", properties={"revenue": 3, "currency": "EUR"})),
    ]
    keep = [flush, compact_people_table, lambda: None, flush, erase_deleted, lambda: compact_events(everything=True)]
    for number, step in enumerate(steps):
        step()
        seen = history()
        keep[number % len(keep)]()
        assert history() == seen
        assert seen == of_the_store_alone()
    compact_people_table(everything=True)
    assert history() == of_the_store_alone()
    assert {row["person"] for row in seen["people"]} == {person("alice").pk, person("bob").pk}


def of_the_store_alone():
    """The same with an empty lake elsewhere: everything is tail."""
    from django.conf import settings

    state = list(LakeState.objects.order_by("name"))
    url, settings.LAKE_URL = settings.LAKE_URL, settings.LAKE_URL + "-empty"
    LakeState.objects.update(erased=0)
    forget_tail()
    try:
        return history()
    finally:
        settings.LAKE_URL = url
        LakeState.objects.bulk_update(state, ["erased"])
        forget_tail()


def test_the_tail_is_decoded_once(monkeypatch):
    opened = []
    monkeypatch.setattr(event_rows, "open_said", lambda body: opened.append(1) or open_said(body))
    send(*(message(userId=f"u{n}") for n in range(20)))
    history()
    history()
    assert len(opened) == 20
    send(message(userId="u1"))
    assert len(history()["events"]) == 21
    assert len(opened) == 21


@pytest.mark.parametrize("count", [1, 40])
def test_a_constant_number_of_queries(count, monkeypatch):
    send(*(message("identify", userId=f"u{n}", traits={"n": n}) for n in range(count)))
    send(*(message("identify", userId=f"u{n}", anonymousId=f"a{n}", traits={"m": n}) for n in range(count)))
    asked = []
    run = Database._execute
    monkeypatch.setattr(Database, "_execute", lambda self, *given: asked.append(given[0]) or run(self, *given))
    with CaptureQueriesContext(connection) as by_django:
        history()
    assert (len(asked), len(by_django)) == (10, 5)
    asked.clear()
    with CaptureQueriesContext(connection) as by_django:
        assert flush() == Flushed(events=2 * count, people=count)
    assert (len(asked), len(by_django)) == (8, 17)


def test_a_trait_that_runs_out_is_described_anew():
    send(message("identify", userId="alice", traits={"plan": "pro"}))
    alice, now = person("alice"), now_us()
    from cdp.traits.document import TraitValue

    traits(alice, trial=TraitValue(value="yes", at=now, expires_at=now + DAY))
    with exclusive() as db:
        mark_described(db, [alice.pk], now=now)
    flush()
    [row] = history()["people"]
    assert (dict(row["text"]), dict(row["expires"])) == ({"plan": "pro", "trial": "yes"}, {"trial": now + DAY})
    assert LakeState.objects.get(pk="people").next_expiry == now + DAY
    assert describe_expired(now + DAY - 1) == 0
    assert describe_expired(now + DAY) == 1
    assert LakeState.objects.get(pk="people").next_expiry is None
    assert Profile.objects.get(pk=alice.pk).described == Profile.objects.get(pk=alice.pk).touched > alice.described
    assert describe_expired(now + DAY) == 0


def test_purged_events_are_still_there(settings):
    send(*(message(event=f"e{n}", userId="alice", timestamp=f"2026-0{n}-01T00:00:00Z") for n in range(1, 6)))
    before = history()
    settings.HOT_EVENT_DAYS = 1
    assert purge_hot_events(now_us()) == 0  # the lake does not have them yet
    flush()
    send(message(event="late", userId="alice", timestamp="2026-01-02T00:00:00Z"))
    assert purge_hot_events(now_us()) == 5
    after = history()
    assert after["events"][:5] == before["events"]
    assert [row["event"] for row in after["events"]] == ["e1", "e2", "e3", "e4", "e5", "late"]
    assert database().rows("select count(*) from events_event") == [(1,)]


def test_deleted_people_are_gone_at_once_and_from_the_files_later(settings):
    send(message("identify", userId="alice", traits={"plan": "pro"}), message(userId="alice"), message(userId="bob"))
    flush()
    compact_people_table(everything=True)
    alice = person("alice")
    delete_at_once([alice], actor="test")
    seen = history()
    assert {row["profile"] for row in seen["events"]} == {row["person"] for row in seen["people"]} == {person("bob").pk}
    assert stored("events", "profile") == [alice.pk, alice.pk, person("bob").pk]
    assert erase_deleted() == 3
    assert stored("events", "profile") == [person("bob").pk]
    assert stored("people", "person") == [person("bob").pk]
    flush()
    assert history() == seen
    assert erase_deleted() == 0


def stored(name, column):
    """A column of every Parquet file under the table's folder, live or not."""
    from pathlib import Path

    import pyarrow.parquet as pq
    from django.conf import settings

    files = sorted(Path(settings.LAKE_URL, name).rglob("part-*.parquet"))
    return sorted(value for file in files for value in pq.ParquetFile(file).read([column])[column].to_pylist())


def test_memberships_and_lists_of_the_caller():
    send(message("identify", userId="alice", traits={"plan": "pro"}))
    members = pa.table({"segment": ["vip"], "person": pa.array([7], pa.int64())})
    with snapshot(members=members) as taken:
        assert taken.run(taken.tables.members).to_pylist() == [{"segment": "vip", "person": 7}]
        brought = taken.bring("only", pa.table({"person": pa.array([person("alice").pk, 99], pa.int64())}))
        assert taken.run(taken.tables.people.semi_join(brought, "person")).num_rows == 1


def test_spark_gives_the_same_tables(spark, settings):
    send(
        message("identify", userId="alice", traits={"plan": "pro", "tags": ["a", "b"], "since": "2026-01-02"}),
        message("track", event="Order Completed", userId="alice", properties={"revenue": 12.5, "currency": "eur"}),
    )
    flush()
    compact_people_table(everything=True)
    send(
        message("track", event="Looked", anonymousId="visitor", properties={"deep": {"er": True}, "n": 3}),
        message("identify", anonymousId="visitor", userId="alice", traits={"plan": "free"}),
    )
    on_duckdb = history()
    settings.ANALYTICS_ENGINE = "local[2]"
    assert history() == on_duckdb
    assert {name: len(rows) for name, rows in on_duckdb.items()} == {"events": 4, "people": 1, "moved": 1}
