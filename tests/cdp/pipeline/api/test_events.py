"""Events by REST (001, 002, 003)."""

import uuid

import pytest

from cdp.access.models import AuditEntry
from cdp.events.models import Event, QuarantinedMessage
from cdp.pipeline.models import InboxMessage
from cdp.pipeline.process import process_inbox
from tests.calling import Api, without
from tests.cdp.pipeline.api.conftest import NOW

NOBODY = str(uuid.UUID(int=7))


def view(event_id: str, person: str, **fields: object) -> dict[str, object]:
    return {
        "id": event_id,
        "messageId": event_id,
        "customerId": person,
        "profileId": person,
        "fragmentId": person,
        "sessionId": None,
        "deviceId": None,
        "call": "track",
        "eventType": "CUSTOM",
        "type": "custom",
        "eventName": "",
        "eventCategory": None,
        "properties": {},
        "context": {},
        "timestamp": NOW,
        "receivedAt": NOW,
        "source": "api",
        **fields,
    }


def test_001s_event_keeps_everything_that_was_said(api, alice):
    body = {
        "customerId": alice,
        "anonymousId": "a-1",
        "sessionId": "session-123",
        "eventType": "PAGE_VIEW",
        "eventName": "Quote Request Page Viewed",
        "eventCategory": "Quote",
        "properties": {"pageUrl": "/quotes/request", "snake_key": {"Inner_Key": 1}},
        "context": {"locale": "lt"},
        "timestamp": "2026-05-01T11:00:00+00:00",
        "deviceType": "desktop",
        "browser": "Chrome",
        "os": "Windows",
        "ipAddress": "198.51.100.7",
        "userAgent": "Mozilla/5.0",
        "country": "LT",
        "city": "Vilnius",
        "metadata": {"my_key": True},
        "messageId": "m-1",
    }
    status, tracked = api.post("events/track", body)
    assert (status, without(tracked, "id")) == (201, {"status": "accepted", "messageId": "m-1"})
    assert api.post("events/track", body) == (200, {"id": tracked["id"], "status": "duplicate", "messageId": "m-1"})
    assert api.get(f"events/{tracked['id']}")[1]["code"] == "event_not_stored"
    process_inbox()
    status, shown = api.get(f"events/{tracked['id']}")
    assert (status, without(shown, "sessionId")) == (
        200,
        without(
            view(
                tracked["id"],
                alice,
                messageId="m-1",
                eventType="PAGE_VIEW",
                type="page_view",
                eventName="Quote Request Page Viewed",
                eventCategory="Quote",
                properties={"pageUrl": "/quotes/request", "snake_key": {"Inner_Key": 1}},
                context={
                    "locale": "lt",
                    "sessionId": "session-123",
                    "eventType": "PAGE_VIEW",
                    "ip": shown["context"]["ip"],
                    "userAgent": "Mozilla/5.0",
                    "metadata": {"my_key": True},
                    "device": {"type": "desktop"},
                    "browser": {"name": "Chrome"},
                    "os": {"name": "Windows"},
                    "location": {"country": "LT", "city": "Vilnius"},
                },
                timestamp="2026-05-01T11:00:00.000Z",
            ),
            "sessionId",
        ),
    )
    assert shown["sessionId"] is not None


def test_snake_case_in_camel_case_out_and_the_customers_keys_as_they_are(api, alice):
    _, tracked = api.post(
        "events", {"customer_id": alice, "event_type": "purchase", "properties": {"order_id": 1, "orderId": 2}}
    )
    process_inbox()
    assert api.get(f"events/{tracked['id']}") == (
        200,
        view(
            tracked["id"],
            alice,
            eventType="PURCHASE",
            type="purchase",
            eventName="purchase",
            properties={"order_id": 1, "orderId": 2},
            context={"eventType": "PURCHASE"},
        ),
    )


def test_an_event_without_a_message_id_is_known_by_its_own(api, alice):
    tracked = [
        api.post("events", {"customerId": alice, "event": "x", **fields})[1] for fields in ({}, {"timestamp": NOW})
    ]
    assert [one["messageId"] for one in tracked] == [one["id"] for one in tracked]
    process_inbox()
    assert [api.get(f"events/{one['id']}")[1]["messageId"] for one in tracked] == [one["id"] for one in tracked]
    assert api.post("events", {"customerId": alice, "event": "x", "timestamp": NOW}) == (
        200,
        {"id": tracked[1]["id"], "status": "duplicate", "messageId": tracked[1]["id"]},
    )


def test_002s_and_003s_spellings(api, alice):
    sent = [
        {"event": "purchase", "userId": "alice", "properties": {"amount": 99.99, "currency": "USD"}},
        {"profileId": alice, "type": "product_view", "deviceId": "d-1"},
        {"anonymousId": 17, "type": "track", "event": "Signed In"},
    ]
    assert [api.post("events", body)[0] for body in sent] == [201, 201, 201]
    process_inbox()
    found = Event.objects.filter(call=Event.Call.TRACK).order_by("id").values_list("type", "name")
    assert list(found) == [("PURCHASE", "purchase"), ("PRODUCT_VIEW", "product_view"), ("LOGIN", "Signed In")]


@pytest.mark.parametrize(
    ("body", "status", "code", "details"),
    [
        ({"event": "x"}, 400, "missing_id", {}),
        ({"userId": "u"}, 400, "missing_event", {"path": "eventName"}),
        ({"userId": "u", "event": " "}, 400, "missing_event", {"path": "eventName"}),
        ({"userId": "u", "eventType": "NOPE"}, 400, "unknown_event_type", {"path": "eventType"}),
        ({"userId": "u", "event": "x", "timestamp": "soon"}, 400, "invalid", {"path": "timestamp"}),
        ({"userId": "u", "event": 5}, 400, "invalid", {"path": "$.event"}),
        ({"userId": "u", "event": "x", "properties": []}, 400, "invalid", {"path": "$.properties"}),
        ({"customerId": NOBODY, "event": "x"}, 404, "not_found", {}),
        ({"customerId": "no uuid", "event": "x"}, 404, "not_found", {}),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_path(api, body, status, code, details):
    answered, error = api.post("events", body)
    assert (answered, error["code"], error["details"]) == (status, code, details)
    assert InboxMessage.objects.count() == 0


def test_what_the_door_refuses_is_kept_in_quarantine(api):
    status, error = api.post("events", {"userId": "u", "event": "x" * 201})
    assert (status, error["code"]) == (400, "event_name_too_long")
    row = QuarantinedMessage.objects.get()
    assert error["details"] == {"id": str(uuid.UUID(bytes=bytes(row.digest)))}


def test_a_batch_judges_each_event_by_itself(api, alice):
    events = [
        {"customerId": alice, "event": "x", "messageId": "m-1"},
        {"event": "x"},
        {"customerId": NOBODY, "event": "x"},
        {"userId": "u", "event": "x", "messageId": "m-1"},
        {"userId": "u", "event": ["x"]},
    ]
    status, answer = api.post("events/batch", {"events": events})
    found = [(item["index"], item["status"], item["code"]) for item in answer["data"]]
    assert (status, found, answer["accepted"], answer["duplicates"], answer["rejected"]) == (
        200,
        [
            (0, "accepted", None),
            (1, "rejected", "missing_id"),
            (2, "rejected", "not_found"),
            (3, "duplicate", None),
            (4, "rejected", "invalid"),
        ],
        1,
        1,
        3,
    )
    assert answer["data"][4]["message"] == "Expected `str | null`, got `array`. ($.event)"
    assert answer["data"][0]["id"] == answer["data"][3]["id"]
    assert InboxMessage.objects.count() == 1
    assert api.post("events/batch", events)[1]["duplicates"] == 2
    assert api.post("events/batch", {"batch": events[:1]})[1]["duplicates"] == 1


woken: list[bool] = []


def wake() -> None:
    woken.append(True)


def test_the_worker_is_woken_when_events_are_stored(api, settings, django_capture_on_commit_callbacks):
    settings.INBOX_WAKE = f"{__name__}.wake"
    woken.clear()
    with django_capture_on_commit_callbacks(execute=True):
        api.post("events", {"userId": "u", "event": "x"})
        assert woken == []
    assert woken == [True]


def test_a_batch_has_a_size(api, settings):
    settings.MAX_BATCH_EVENTS = 2
    for events in ([], [{"userId": "u", "event": "x"}] * 3):
        status, error = api.post("events/batch", {"events": events})
        assert (status, error["code"]) == (413, "batch_size")
    assert api.post("events/batch", {"events": "x"})[0] == 400


@pytest.fixture
def three(api: Api, alice: str, bob: str) -> list[str]:
    """Three events: two of alice, the middle one of bob."""
    sent = [(alice, "one", "11:00"), (bob, "two", "11:10"), (alice, "three", "11:20")]
    ids = [
        api.post("events", {"customerId": who, "event": name, "timestamp": f"2026-05-01T{at}:00Z"})[1]["id"]
        for who, name, at in sent
    ]
    process_inbox()
    Event.objects.filter(call=Event.Call.IDENTIFY).delete()
    return ids


def test_pages_by_number(api, alice, bob, three):
    status, first = api.get("events?page=1&limit=2")
    assert (status, [event["id"] for event in first["data"]]) == (200, [three[2], three[1]])
    assert first["pagination"] == {"page": 1, "limit": 2, "total": 3}
    assert first["data"][1] == view(
        three[1], bob, eventName="two", timestamp="2026-05-01T11:10:00.000Z", receivedAt=NOW
    )
    assert [event["id"] for event in api.get("events?page=2&limit=2")[1]["data"]] == [three[0]]


def test_pages_by_cursor(api, three):
    _, first = api.get("events?cursor=&limit=2")
    assert (sorted(first), [event["id"] for event in first["data"]]) == (["data", "next"], [three[2], three[1]])
    _, second = api.get(f"events?cursor={first['next']}&limit=2")
    assert ([event["id"] for event in second["data"]], second["next"]) == ([three[0]], None)
    status, error = api.get("events?cursor=nonsense")
    assert (status, error["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("customerId={alice}", [2, 0]),
        ("profileId={bob}", [1]),
        ("eventType=CUSTOM&eventName=one", [0]),
        ("startDate=2026-05-01T11:10:00Z", [2, 1]),
        ("startDate=2026-05-01&endDate=2026-05-01", [2, 1, 0]),
        ("endDate=2026-04-30", []),
        ("source=api&limit=1", [2]),
        ("source=other", []),
    ],
)
def test_filters(api, alice, bob, three, query, found):
    status, page = api.get("events?" + query.format(alice=alice, bob=bob))
    assert (status, [event["id"] for event in page["data"]]) == (200, [three[index] for index in found])


def test_filters_that_mean_nothing(api):
    assert api.get("events?eventType=NOPE")[0] == 400
    assert api.get("events?startDate=soon")[0] == 400
    assert api.get(f"events?customerId={NOBODY}")[0] == 404


def test_recent_events_and_events_of_a_profile(api, alice, three):
    _, recent = api.get(f"events/{alice}/recent?limit=1")
    assert ([event["id"] for event in recent["data"]], bool(recent["next"])) == ([three[2]], True)
    _, events = api.get(f"profiles/{alice}/events")
    assert [event["id"] for event in events["data"]] == [three[2], three[0]]
    _, timeline = api.get(f"profiles/{alice}/timeline")
    assert ([event["id"] for event in timeline["data"]], timeline["next"]) == ([three[2], three[0]], None)
    assert api.get(f"events/{NOBODY}/recent")[0] == api.get(f"profiles/{NOBODY}/timeline")[0] == 404


def test_lists_take_the_same_number_of_queries_for_one_and_for_three(
    api, three, django_assert_num_queries, django_assert_max_num_queries
):
    api.get("events")
    with django_assert_max_num_queries(20) as one:
        api.get("events?limit=1")
    with django_assert_num_queries(len(one)):
        api.get("events?limit=3")


def test_why(api, alice):
    _, tracked = api.post("events", {"anonymousId": "a-9", "event": "x"})
    process_inbox()
    status, why = api.get(f"events/{tracked['id']}/why")
    digest = why["identifiers"][0].pop("digest")
    assert len(digest) == 32
    assert (status, why) == (
        200,
        {
            "decision": "created",
            "sentence": "No identifier was known: a new profile was created.",
            "identifiers": [
                {
                    "type": "anonymous_id",
                    "namespace": "",
                    "use": "added",
                    "sentence": "anonymous_id was new and now belongs to the person.",
                }
            ],
            "merges": [],
            "log": ["create: rule 4"],
        },
    )
    for missing in ("x", NOBODY):
        assert api.get(f"events/{missing}/why")[0] == api.get(f"events/{missing}")[0] == 404


def test_masked_and_clear_reads(api, masked_api, alice):
    properties = {"email": "alice@example.com", "plan": "pro"}
    _, tracked = api.post("events", {"customerId": alice, "event": "x", "properties": properties})
    process_inbox()
    AuditEntry.objects.all().delete()
    assert masked_api.get(f"events/{tracked['id']}")[1]["properties"] == {"email": "a***@e***.com", "plan": "pro"}
    assert AuditEntry.objects.count() == 0
    assert api.get(f"events/{tracked['id']}")[1]["properties"] == properties
    assert api.get("events")[1]["pagination"]["total"] == 2
    entries = AuditEntry.objects.order_by("id").values_list("actor", "object_type", "object_ids", "fields")
    actor = f"key:{api.row.pk}"
    assert list(entries) == [
        (actor, "event", [tracked["id"]], ["event"]),
        (actor, "profile", [alice], ["events"]),
    ]
