"""Quarantined messages: corrected, replayed, discarded."""

import threading

import msgspec
import pytest
from django.conf import settings
from django.db import connection

from cdp.access.models import AuditEntry, Source
from cdp.access.source import SourceRef, source_named
from cdp.core.clock import DAY, iso, now_us
from cdp.core.errors import Invalid
from cdp.events.models import Event, QuarantinedMessage
from cdp.identities.lookup import find_person
from cdp.pipeline.accept import accept
from cdp.pipeline.message import HISTORICAL, Envelope, unseal
from cdp.pipeline.models import InboxMessage, SeenMessage
from cdp.pipeline.process import process_inbox
from cdp.pipeline.quarantine import Replay, StillRefused, discard, quarantined_text, replay

pytestmark = pytest.mark.django_db
NOW = now_us()
SENT = iso(NOW - DAY)
GOOD = b'{"type":"track","event":"Mended","userId":"alice"}'
BAD = b'{"type":"track","userId":"alice","messageId":"m1"}'


def quarantined(raw: bytes = BAD, *, source: SourceRef | None = None) -> QuarantinedMessage:
    accept(
        [raw],
        source=source or source_named("shop"),
        received=NOW - DAY,
        sent_at=SENT,
        context={"a": 1},
        flags=HISTORICAL,
    )
    return QuarantinedMessage.objects.latest("pk")


def failed(messages: list[bytes], source: SourceRef) -> list[QuarantinedMessage]:
    """Messages that were accepted and failed while they were processed."""
    accept(messages, source=source, received=NOW)
    process_inbox()
    return list(QuarantinedMessage.objects.filter(stage="processing").order_by("pk"))


def test_a_corrected_message_keeps_digest_time_and_surroundings():
    row = quarantined(b"\xff no json")
    assert quarantined_text(row) == b"\xff no json"
    assert replay([row.pk], corrected=GOOD, actor="user:1") == Replay(replayed=(row.pk,))
    waiting = InboxMessage.objects.get()
    assert (bytes(waiting.digest), waiting.received, waiting.source_id) == (row.digest, row.received, row.source_id)
    assert unseal(settings.KEYRING, waiting.body) == Envelope(msgspec.Raw(GOOD), SENT, {"a": 1}, HISTORICAL)
    row.refresh_from_db()
    assert row.status == "replayed"
    assert row.resolved_at is not None
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object_ids) == ("user:1", "replay", [str(row.pk)])
    process_inbox()
    assert bytes(Event.objects.get().digest) == bytes(row.digest)
    assert find_person("user_id", "alice") is not None


def test_a_message_that_is_no_better_stays_open_with_the_reason():
    row = quarantined()
    same = replay([row.pk], actor="user:1")
    worse = replay([row.pk], corrected=b"{", actor="user:1")
    assert same == Replay(refused=(StillRefused(row.pk, "missing_event", row.reason),))
    assert [(one.id, one.code) for one in worse.refused] == [(row.pk, "bad_json")]
    row.refresh_from_db()
    assert (row.status, row.code, quarantined_text(row)) == ("open", "missing_event", BAD)
    assert (InboxMessage.objects.count(), AuditEntry.objects.count()) == (0, 0)


def test_several_at_once_and_each_only_once():
    mended = source_named("shop")
    web = Source.objects.create(name="web", kind=Source.Kind.BROWSER)
    old = msgspec.json.encode({**msgspec.json.decode(GOOD), "timestamp": iso(NOW - 30 * DAY)})
    rows = [quarantined(), quarantined(old, source=SourceRef.of(web)), quarantined(b"{}", source=mended)]
    Source.objects.filter(pk=web.pk).update(kind=Source.Kind.SERVER)
    ids = [row.pk for row in rows]
    result = replay([*ids, 999_999], actor="user:1")
    assert (result.replayed, result.duplicates, result.skipped) == ((ids[1],), (), (999_999,))
    assert [(one.id, one.code) for one in result.refused] == [(ids[0], "missing_event"), (ids[2], "unknown_type")]
    assert replay([ids[1]], actor="user:1") == Replay(skipped=(ids[1],))
    assert InboxMessage.objects.count() == 1


def test_a_digest_that_was_accepted_meanwhile_is_a_duplicate():
    row = quarantined()
    good = b'{"type":"track","event":"E","userId":"alice","messageId":"m1"}'
    assert [o.status for o in accept([good], source=source_named("shop"), received=NOW)] == ["accepted"]
    assert replay([row.pk], corrected=GOOD, actor="user:1") == Replay(duplicates=(row.pk,))
    row.refresh_from_db()
    assert row.status == "replayed"
    assert InboxMessage.objects.count() == 1


def test_a_message_that_was_replayed_is_a_duplicate_when_its_sender_tries_again():
    row = quarantined()
    replay([row.pk], corrected=GOOD, actor="user:1")
    good = b'{"type":"track","event":"E","userId":"alice","messageId":"m1"}'
    assert [o.status for o in accept([good], source=source_named("shop"), received=NOW)] == ["duplicate"]


def test_what_failed_in_processing_is_replayed_without_being_a_duplicate():
    source = source_named("shop")
    profile = "01890000-0000-7000-8000-000000000000"
    missing = msgspec.json.encode({"type": "track", "event": "E", "profileId": profile, "messageId": "m1"})
    (row,) = failed([missing], source)
    assert (row.code, InboxMessage.objects.count()) == ("unknown_profile", 0)
    assert replay([row.pk], actor="user:1") == Replay(replayed=(row.pk,))
    process_inbox()
    row.refresh_from_db()
    assert (row.status, row.resolved_at, Event.objects.count()) == ("open", None, 0)
    assert replay([row.pk], corrected=GOOD, actor="user:1") == Replay(replayed=(row.pk,))
    process_inbox()
    row.refresh_from_db()
    assert row.status == "replayed"
    assert bytes(Event.objects.get().digest) == bytes(row.digest)
    assert (SeenMessage.objects.count(), InboxMessage.objects.count()) == (1, 0)


def test_a_deleted_source():
    row = quarantined()
    Source.objects.all().delete()
    refused = StillRefused(row.pk, "source_deleted", "The source of this message was deleted.")
    assert replay([row.pk], corrected=GOOD, actor="user:1") == Replay(refused=(refused,))


def test_only_one_message_can_be_corrected_at_a_time():
    with pytest.raises(Invalid, match="one message"):
        replay([1, 2], corrected=GOOD, actor="user:1")


def test_discarded_rows_stay_and_are_not_replayed():
    rows = [quarantined(), quarantined(b"{}")]
    assert discard([rows[0].pk, 999_999], actor="user:1") == 1
    assert discard([rows[0].pk], actor="user:1") == 0
    assert replay([row.pk for row in rows], actor="user:1").skipped == (rows[0].pk,)
    assert list(QuarantinedMessage.objects.order_by("pk").values_list("status", flat=True)) == ["discarded", "open"]
    assert [entry.action for entry in AuditEntry.objects.all()] == ["discard"]


@pytest.mark.django_db(transaction=True)
def test_replayed_by_two_people_at_once_it_is_there_once():
    row = quarantined()
    results: list[Replay] = []
    ready = threading.Barrier(4)

    def run() -> None:
        ready.wait(10)
        results.append(replay([row.pk], corrected=GOOD, actor="user:1"))
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(len(result.replayed) for result in results) == [0, 0, 0, 1]
    assert InboxMessage.objects.count() == 1
