"""The synchronous way in."""

import msgspec
import pytest
from django.conf import settings

from cdp.access.source import SourceRef, source_named
from cdp.core.clock import DAY, iso, now_us
from cdp.events.models import QuarantinedMessage
from cdp.pipeline.accept import accept
from cdp.pipeline.lease import database
from cdp.pipeline.message import HISTORICAL, Envelope, original, unseal
from cdp.pipeline.models import Counter, InboxMessage, SeenMessage
from cdp.pipeline.writer import Kept, Refused, write

pytestmark = pytest.mark.django_db
NOW = now_us()
BROWSER = SourceRef(id=77, name="web", trusted=False)


def track(**fields: object) -> bytes:
    return msgspec.json.encode({"type": "track", "event": "Tested", "userId": "alice", **fields})


def counts() -> dict[str, int]:
    return dict(Counter.objects.values_list("outcome", "count"))


def test_accepted_messages_wait_encrypted_in_the_order_in_which_they_came():
    source = source_named("shop")
    raws = [track(messageId=f"m{n}", properties={"n": n}) for n in range(30)]
    outcomes = accept(raws, source=source, received=NOW, sent_at="2026-01-01", context={"ip": "x"}, flags=HISTORICAL)
    assert [(o.index, o.status, o.message_id) for o in outcomes] == [(n, "accepted", f"m{n}") for n in range(30)]
    rows = list(InboxMessage.objects.order_by("id"))
    assert [unseal(settings.KEYRING, row.body) for row in rows] == [
        Envelope(msgspec.Raw(raw), "2026-01-01", {"ip": "x"}, HISTORICAL) for raw in raws
    ]
    assert [bytes(row.digest) for row in rows] == [o.digest for o in outcomes]
    assert {(row.source_id, row.received) for row in rows} == {(source.id, NOW)}
    assert dict(SeenMessage.objects.values_list("digest", "day")) == {o.digest: NOW // DAY for o in outcomes}
    assert not any(b"alice" in bytes(row.body) for row in rows)
    assert counts() == {"accepted": 30}


def test_a_repeat_is_a_duplicate_within_a_call_and_across_calls():
    source = source_named("shop")
    first = accept([track(messageId="a"), track(messageId="b"), track(messageId="a")], source=source, received=NOW)
    again = accept([track(messageId="b"), track(messageId="c"), track(messageId=7)], source=source, received=NOW)
    assert [o.status for o in first] == ["accepted", "accepted", "duplicate"]
    assert [o.status for o in again] == ["duplicate", "accepted", "accepted"]
    assert [o.message_id for o in again] == ["b", "c", "7"]
    assert InboxMessage.objects.count() == 4
    assert counts() == {"accepted": 4, "duplicate": 2}


def test_one_id_from_two_sources_is_two_messages():
    outcomes = [accept([track(messageId="a")], source=source_named(n), received=NOW)[0].status for n in ("one", "two")]
    assert outcomes == ["accepted", "accepted"]


def test_without_a_message_id_a_timestamp_makes_a_retry_known():
    source = source_named("shop")
    stamped = [track(timestamp="2026-01-01T00:00:00Z", sentAt=at) for at in ("2026-01-02", "2026-01-03")]
    assert [o.status for o in accept(stamped, source=source, received=NOW)] == ["accepted", "duplicate"]
    assert [o.status for o in accept([track(), track()], source=source, received=NOW)] == ["accepted", "accepted"]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b'{"type":"track","event":"a\x00b","userId":"x"}', "bad_json"),
        (b'{"type":"track","event":"e","userId":"\\ud800"}', "bad_json"),
        (b'{"type":"track","event":"e","userId":"x","stray":1e999,"timestamp":1}', "bad_json"),
        (b"[]", "wrong_type"),
        (b'"text"', "wrong_type"),
        (b"null", "wrong_type"),
        (track(properties=[1]), "wrong_type"),
        (track(userId=True), "wrong_type"),
        (track(messageId={"a": 1}), "wrong_type"),
        (track(context="here"), "wrong_type"),
        (b'{"type":"track","event":"e","userId":1e999}', "wrong_type"),
        (b'{"userId":"x","note":"\xff"}', "not_utf8"),
        (track(note="a\0b"), "nul_character"),
        (b'{"type":"track","event":"e","userId":"x","p":' + b"[" * 101 + b"]" * 101 + b"}", "too_deep"),
        (b'{"type":"track","event":"e","userId":"x","p":' + b"[" * 16_000, "too_deep"),
        (track(note="x" * 33_000), "too_large"),
        (b'{"userId":"x","event":"e"}', "unknown_type"),
        (track(type="Track"), "unknown_type"),
        (track(userId=None), "missing_id"),
        (track(userId=" ", anonymousId=""), "missing_id"),
        (track(event=None), "missing_event"),
        (track(event=" "), "missing_event"),
        (track(event="e" * 201), "event_name_too_long"),
        (track(messageId="m" * 101), "message_id_too_long"),
        (track(profileId="7"), "bad_profile_id"),
        (b'{"type":"alias","userId":"b"}', "missing_previous_id"),
    ],
)
def test_an_unusable_message_is_quarantined_as_it_came_and_harms_no_neighbour(raw: bytes, code: str):
    source = source_named("shop")
    outcomes = accept([track(messageId="l"), raw, track(messageId="r")], source=source, received=NOW)
    assert [(o.status, o.code) for o in outcomes] == [("accepted", ""), ("rejected", code), ("accepted", "")]
    row = QuarantinedMessage.objects.get()
    assert (bytes(row.digest), row.source_id, row.received) == (outcomes[1].digest, source.id, NOW)
    assert (row.stage, row.status, row.code, row.reason) == ("door", "open", code, outcomes[1].message)
    assert row.reason.endswith(".")
    assert original(unseal(settings.KEYRING, row.body)) == raw
    assert counts() == {"accepted": 2, f"rejected:{code}": 1}


@pytest.mark.parametrize(
    "raw",
    [
        track(userId=7),
        track(userId=7.5),
        track(userId=None, anonymousId="x"),
        track(event=404),
        track(messageId="m" * 100),
        track(note="a\\u0000 spelt out"),
        track(note="é" * 100),
        track(properties={"deep": [[[[{"a": [1]}]]]] * 40}),
        track(userId=None, profileId="01890000-0000-7000-8000-000000000000"),
        b' {"type":"alias","userId":"b","previousId":"a"} ',
        b'{"type":"identify","userId":"b"}',
        b'{"type":"group","anonymousId":"b","groupId":1}',
        track(timestamp="1990-01-01"),
    ],
)
def test_odd_but_usable(raw: bytes):
    assert [(o.status, o.code) for o in accept([raw], source=source_named("shop"), received=NOW)] == [("accepted", "")]


@pytest.mark.parametrize(
    ("raw", "sent_at", "code"),
    [
        (track(timestamp=iso(NOW - 8 * DAY)), None, "timestamp_too_old"),
        (track(timestamp=iso(NOW - 6 * DAY)), None, ""),
        (track(timestamp="2001-01-01T00:00:00Z"), "2001-01-01T00:01:00Z", ""),
        (track(timestamp="2001-01-01T00:00:00Z"), "2001-01-08T00:01:00Z", "timestamp_too_old"),
        (track(timestamp="2001-01-01T00:00:00Z", sentAt="2001-01-01T00:00:01Z"), None, ""),
        (track(timestamp="nonsense"), None, ""),
        (track(profileId="01890000-0000-7000-8000-000000000000"), None, "profile_id_not_allowed"),
    ],
)
def test_what_a_browser_may_not_send(raw: bytes, sent_at: str | None, code: str):
    assert [o.code for o in accept([raw], source=BROWSER, received=NOW, sent_at=sent_at)] == [code]


def test_a_refused_message_and_its_repeat_are_one_row_and_two_counts():
    for _ in range(2):
        accept([track(userId=None, messageId="a")], source=source_named("shop"), received=NOW)
    assert QuarantinedMessage.objects.count() == 1
    assert counts() == {"rejected:missing_id": 2}


def test_nothing_to_accept():
    assert accept([], source=source_named("shop"), received=NOW) == []
    assert counts() == {}


@pytest.mark.parametrize("size", [1, 500])
def test_a_group_is_a_constant_number_of_statements(size: int):
    source = source_named("shop")
    db = database()
    rows = [Kept(n.to_bytes(16), source.id, NOW, b"body") for n in range(size)]
    refusals = [Refused(n.to_bytes(16), source.id, NOW, "door", "open", "code", "reason", b"body") for n in range(size)]
    assert write(db, rows, refusals, day=1) == set()
    assert db.queries == 4
    assert write(db, rows[:1], day=1) == {rows[0].digest}
    assert counts() == {"accepted": size, "duplicate": 1, "rejected:code": size}
