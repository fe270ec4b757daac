"""The quarantine by REST (E7)."""

import uuid

import pytest

from cdp.access.models import AuditEntry, Source
from cdp.access.source import source_named
from cdp.core.clock import now_us
from cdp.events.models import Event, QuarantinedMessage
from cdp.pipeline.accept import accept
from cdp.pipeline.process import process_inbox
from tests.calling import ids
from tests.cdp.pipeline.api.conftest import NOW


def quarantine(*raws: bytes) -> list[str]:
    """What was sent by the source `shop` and refused, by id."""
    outcomes = accept(raws, source=source_named("shop"), received=now_us())
    assert {outcome.status for outcome in outcomes} == {"rejected"}
    return [str(uuid.UUID(bytes=outcome.digest)) for outcome in outcomes]


NAMELESS = b'{"type":"track","userId":"u1","messageId":"m-1","properties":{"email":"jane@example.com","my_key":1}}'


def test_list(api, masked_api):
    nameless, broken = quarantine(NAMELESS, b"{broken jane@example.com")
    status, page = api.get("quarantine")
    assert (status, ids(page["data"]), page["pagination"]) == (
        200,
        [broken, nameless],
        {"page": 1, "limit": 50, "total": 2},
    )
    assert page["data"][1] == {
        "id": nameless,
        "source": "shop",
        "receivedAt": NOW,
        "stage": "door",
        "status": "open",
        "code": "missing_event",
        "reason": page["data"][1]["reason"],
        "message": {
            "type": "track",
            "userId": "u1",
            "messageId": "m-1",
            "properties": {"email": "jane@example.com", "my_key": 1},
        },
        "resolvedAt": None,
    }
    assert page["data"][0]["message"] == "{broken jane@example.com"
    assert ids(api.get("quarantine?code=missing_event")[1]["data"]) == [nameless]
    assert api.get("quarantine?status=replayed")[1]["data"] == []
    assert len(api.get("quarantine?status=all&limit=1&page=2")[1]["data"]) == 1
    assert api.get("quarantine?status=nope")[1]["details"] == {"path": "status"}

    entry = AuditEntry.objects.filter(object_type="quarantine").first()
    assert entry is not None
    masked = masked_api.get("quarantine")[1]["data"]
    assert (masked[0]["message"], masked[1]["message"]["properties"]) == (
        "***",
        {"email": "j***@e***.com", "my_key": 1},
    )


def test_the_list_takes_the_same_number_of_queries_for_one_and_for_three(
    api, django_assert_num_queries, django_assert_max_num_queries
):
    quarantine(*(b'{"type":"track","userId":"u1","messageId":"m-%d"}' % n for n in range(3)))
    api.get("quarantine")
    with django_assert_max_num_queries(20) as one:
        assert len(api.get("quarantine?limit=1")[1]["data"]) == 1
    with django_assert_num_queries(len(one)):
        assert len(api.get("quarantine?limit=3")[1]["data"]) == 3


def test_correct_and_replay(api):
    [message_id] = quarantine(NAMELESS)
    corrected = {"type": "track", "userId": "u1", "event": "Tested", "properties": {"my_key": 1}}
    assert api.post(f"quarantine/{message_id}/replay", {"message": corrected}) == (
        200,
        {"id": message_id, "status": "replayed"},
    )
    process_inbox()
    _, event = api.get(f"events/{message_id}")
    assert (event["eventName"], event["source"], event["properties"]) == ("Tested", "shop", {"my_key": 1})
    status, error = api.post(f"quarantine/{message_id}/replay")
    assert (status, error["code"]) == (409, "not_open")
    assert ids(api.get("quarantine?status=replayed")[1]["data"]) == [message_id]
    actor = AuditEntry.objects.filter(action="replay").values_list("actor", flat=True)
    assert list(actor) == [f"key:{api.row.pk}"]


def test_what_is_still_wrong_stays_open(api):
    [message_id] = quarantine(NAMELESS)
    for body in (None, {}, {"message": {"type": "track", "userId": "u1"}}):
        status, error = api.post(f"quarantine/{message_id}/replay", body)
        assert (status, error["code"], error["details"]) == (400, "missing_event", {"id": message_id})
    assert QuarantinedMessage.objects.get().status == "open"
    assert Event.objects.count() == 0
    assert api.post(f"quarantine/{message_id}/replay", {"message": 5})[1]["details"] == {"path": "$.message"}


def test_a_deleted_source(api):
    [message_id] = quarantine(NAMELESS)
    Source.objects.filter(name="shop").delete()
    assert api.get("quarantine")[1]["data"][0]["source"] is None
    assert api.post(f"quarantine/{message_id}/replay")[1]["code"] == "source_deleted"


@pytest.mark.parametrize("missing", ["x", str(uuid.UUID(int=7))])
def test_nothing_to_replay(api, missing):
    assert api.post(f"quarantine/{missing}/replay")[0] == 404


def test_hostile_messages_are_shown_as_text(api):
    quarantine(b"[" * 5000, b"\xff\xfe{", b'{"type":"track","x":"\\ud800"}')
    status, page = api.get("quarantine")
    assert (status, len(page["data"])) == (200, 3)
    assert all(isinstance(row["message"], str | dict) for row in page["data"])
