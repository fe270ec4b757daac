"""What came through the door several times counts once, whoever else put it in, whatever fails meanwhile."""

import itertools
import threading
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.access.source import source_named
from cdp.core.bulk import Database
from cdp.core.clock import DAY
from cdp.events.models import Event, QuarantinedMessage
from cdp.identities.lookup import find_person
from cdp.pipeline import placing, process
from cdp.pipeline.batch import Batch
from cdp.pipeline.lease import database
from cdp.pipeline.message import digest_of
from cdp.pipeline.models import Counter, InboxMessage, SeenMessage
from cdp.pipeline.process import process_batch, process_inbox
from cdp.pipeline.quarantine import replay
from cdp.pipeline.repeats import drop_repeats
from tests.sending import deliver, deliver_by_door, message

pytestmark = pytest.mark.django_db


def counts() -> dict[str, int]:
    return dict(Counter.objects.values_list("outcome", "count"))


def event_count() -> int:
    person = find_person("user_id", "1")
    return 0 if person is None else person.event_count


def test_repeats_in_a_batch_and_after_it():
    first = message(userId="1")
    deliver_by_door(first, first, message(userId="1"))
    process_inbox()
    deliver_by_door(first)
    process_inbox()
    assert (Event.objects.count(), event_count(), InboxMessage.objects.count()) == (2, 2, 0)
    assert counts() == {"accepted": 2, "duplicate": 2, "processed": 2}


def test_what_is_claimed_stands_before_what_came_through_the_door():
    one, another = message(userId="1", n=1), message(userId="1", n=2)
    deliver_by_door({**one, "event": "By door"})
    deliver({**one, "event": "Accepted"}, another)
    deliver_by_door(another)
    process_inbox()
    assert list(Event.objects.order_by("id").values_list("name", flat=True)) == ["Accepted", "Tested"]
    assert counts() == {"accepted": 2, "duplicate": 2, "processed": 2}


def test_the_day_of_a_digest_is_that_of_its_arrival():
    deliver_by_door(message(userId="1"), received=20_000 * DAY + 5)
    process_inbox()
    assert list(SeenMessage.objects.values_list("day", flat=True)) == [20_000]
    assert Counter.objects.get(outcome="accepted").day == 20_000


def test_a_repeat_of_what_failed_is_a_duplicate_and_its_replay_is_none():
    bad = message(userId="null")
    deliver_by_door(bad, bad)
    process_inbox()
    deliver_by_door(bad)
    process_inbox()
    assert counts() == {"accepted": 1, "duplicate": 2, "failed:no_usable_identifier": 1}
    [row] = QuarantinedMessage.objects.all()
    assert replay([row.pk], corrected=b'{"type":"track","event":"E","userId":"1"}', actor="user:1").replayed == (
        row.pk,
    )
    deliver_by_door(bad)
    process_inbox()
    assert (Event.objects.count(), event_count()) == (1, 1)
    assert counts()["duplicate"] == 3


def test_a_message_that_breaks_its_batch_is_claimed_too(monkeypatch: pytest.MonkeyPatch):
    original = placing.is_activity

    def breaks(reading: Any) -> bool:
        if reading.name == "Poison":
            raise ValueError("poison")
        return original(reading)

    monkeypatch.setattr(placing, "is_activity", breaks)
    poison = message(userId="1", event="Poison")
    good = message(userId="1")
    deliver_by_door(good, poison, good, poison, message(userId="1"))
    process_inbox()
    assert list(QuarantinedMessage.objects.values_list("code", flat=True)) == ["processing_failed"]
    assert (Event.objects.count(), SeenMessage.objects.count(), event_count()) == (2, 3, 2)
    assert counts() == {"accepted": 3, "duplicate": 2, "processed": 2, "failed:processing_failed": 1}


@pytest.mark.django_db(transaction=True)
def test_who_claims_while_a_batch_is_planned_is_not_doubled(monkeypatch: pytest.MonkeyPatch):
    raced = message(userId="1")
    deliver_by_door(raced, message(userId="1"))
    original = process.make_plan
    rivals: list[threading.Thread] = []

    def overtaken(db: Database, *args: Any, **named: Any) -> Batch:
        made = original(db, *args, **named)
        if not rivals:
            rivals.append(threading.Thread(target=lambda: (deliver(raced), connection.close())))
            rivals[0].start()
            rivals[0].join(30)
        return made

    monkeypatch.setattr(process, "make_plan", overtaken)
    assert process_batch() == 2
    process_inbox()
    assert (Event.objects.count(), event_count(), InboxMessage.objects.count()) == (2, 2, 0)
    assert QuarantinedMessage.objects.count() == 0
    assert counts() == {"accepted": 2, "duplicate": 1, "processed": 2}


_salts = itertools.count()
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["door", "accept"]), st.lists(st.integers(0, 5), min_size=1, max_size=4)),
        st.tuples(st.just("process"), st.just([])),
    ),
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STEPS)
def test_however_they_come_each_id_is_one_event(steps: list[tuple[str, list[int]]]) -> None:
    source, salt = source_named("shop"), next(_salts)
    before = counts()
    sent = [f"{salt}-{n}" for _, numbers in steps for n in numbers]
    for how, numbers in steps:
        messages = [message(userId="1", messageId=f"{salt}-{n}") for n in numbers]
        if how == "process":
            process_batch(3)
        else:
            (deliver_by_door if how == "door" else deliver)(*messages)
    process_inbox()
    digests = {digest_of(source.id, id_) for id_ in sent}
    stored = [bytes(d) for d in Event.objects.filter(digest__in=digests).values_list("digest", flat=True)]
    assert sorted(stored) == sorted(digests)
    grown = {outcome: number - before.get(outcome, 0) for outcome, number in counts().items()}
    assert grown.get("accepted", 0) == grown.get("processed", 0) == len(digests)
    assert grown.get("duplicate", 0) == len(sent) - len(digests)
    assert event_count() == Event.objects.count()


@pytest.mark.parametrize("size", [1, 200])
def test_repeats_are_found_by_the_query_that_takes_the_rows(size: int):
    messages = [message(userId="1") for _ in range(size)]
    deliver_by_door(*messages)
    process_inbox()
    new = message(userId="1")
    [*_, digest, _] = deliver_by_door(*messages, new, new)
    db = database()
    waiting = process._take(db, 1000)
    made = Batch(now=1, waiting=waiting)
    drop_repeats(made)
    assert (db.queries, len(made.waiting)) == (1, size + 2)
    assert [row.digest for row in made.messages] == [digest]
