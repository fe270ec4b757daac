"""Requests by REST, from opening to the end."""

import pytest

from cdp.access.models import AuditEntry
from cdp.consents.models import ConsentRecord, Purpose
from cdp.privacy.models import PrivacyRequest
from cdp.traits.golden import golden
from tests import factories as make
from tests.calling import Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def api():
    return Api("admin")


@pytest.fixture
def ada():
    person = make.profile()
    make.identifier(person, "user_id", "user123")
    make.identifier(person, "email", "ada@example.com")
    return person


def opened(api, **body):
    status, answer = api.post("privacy/requests", body)
    assert status == 201, answer
    return answer["id"]


def verified(api, **body):
    request_id = opened(api, **body)
    assert api.post(f"privacy/requests/{request_id}/verify", {"how": "document"})[0] == 200
    return request_id


def actions(request_id):
    return list(AuditEntry.objects.about(request_id).order_by("id").values_list("action", flat=True))


def test_an_objection_to_the_end(api, ada):
    request_id = opened(api, type="objection", userId="user123", email="Ada@Example.com")
    status, refused = api.post(f"privacy/requests/{request_id}/process")
    assert (status, refused["code"], refused["details"]["next"]) == (
        409, "wrong_status", ["verify", "send-link", "extend", "reject", "cancel"],
    )  # fmt: skip
    api.post(f"privacy/requests/{request_id}/verify", {"how": "document"})
    status, done = api.post(f"privacy/requests/{request_id}/process")
    marketing = set(Purpose.objects.filter(group="marketing").values_list("code", flat=True))
    assert (status, done["status"], done["next"]) == (200, "completed", [])
    said = ConsentRecord.objects.filter(profile=ada)
    assert {(row.type, row.granted) for row in said} == {(code, False) for code in marketing} != set()
    assert actions(request_id) == ["open", "verify", "read", "process", "complete", "read"]
    verify = AuditEntry.objects.get(action="verify")
    assert (verify.actor, verify.why) == (f"key:{api.row.pk}", "document")


def test_a_rectification_to_the_end(api, ada):
    make.traits(ada, lastName="Lovelace", nickname="x", email="ada@example.com")
    request_id = verified(
        api,
        type="rectification",
        email="ada@example.com",
        changes={"traits": {"lastName": "King", "nickname": None}, "identifiers": {"email": "Ada@king.example"}},
    )
    assert api.post(f"privacy/requests/{request_id}/process")[1]["status"] == "completed"
    values = {key: (value.value, value.verified) for key, value in golden(ada.pk).values.items()}
    assert values == {"lastName": ("King", True), "email": ("ada@king.example", True)}
    assert api.post("profiles/search", {"query": "ada@king.example"})[1]["pagination"]["total"] == 1
    entry = AuditEntry.objects.get(action="rectify")
    assert entry.object_ids == [str(ada.public_id)]
    assert entry.fields == ["email", "lastName", "nickname"]


def test_a_wrong_identifier_is_taken_away(api, ada):
    make.traits(ada, email="ada@example.com")
    request_id = verified(
        api,
        type="rectification",
        userId="user123",
        changes={"identifiers": {"email": "right@example.com"}, "removeIdentifiers": {"email": "ADA@example.com"}},
    )
    status, done = api.post(f"privacy/requests/{request_id}/process")
    assert (status, done["status"], done["outcome"]) == (200, "completed", "Corrected: 1 field.")
    found = [api.post("profiles/search", {"query": f"{name}@example.com"})[1] for name in ("ada", "right")]
    assert [page["pagination"]["total"] for page in found] == [0, 1]
    assert golden(ada.pk).values["email"].value == "right@example.com"


def test_a_rectification_that_cannot_be_done_changes_nothing(api, ada):
    other = make.profile()
    make.identifier(other, "email", "taken@example.com")
    request_id = verified(
        api,
        type="rectification",
        userId="user123",
        changes={"traits": {"lastName": "King"}, "identifiers": {"email": "taken@example.com"}},
    )
    status, refused = api.post(f"privacy/requests/{request_id}/process")
    assert (status, refused["code"]) == (409, "identifier_taken")
    assert golden(ada.pk).values == {}
    row = PrivacyRequest.objects.get(public_id=request_id)
    assert (row.status, row.outcome) == ("pending", "Could not be carried out: identifier taken.")


def listed(api, query):
    status, page = api.get(f"privacy/requests{query}")
    assert status == 200, page
    return [row["id"] for row in page["data"]], page["pagination"]["total"]


def test_lists_by_status_type_and_deadline(api, ada, time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    first = opened(api, type="access", userId="user123")
    second = opened(api, type="deletion", userId="other", regulation="ccpa")
    third = opened(api, type="access", userId="third")
    api.post(f"privacy/requests/{third}/cancel")
    assert listed(api, "") == ([third, second, first], 3)
    assert listed(api, "?limit=1&page=2") == ([second], 3)
    assert listed(api, "?status=open") == ([second, first], 2)
    assert listed(api, "?status=cancelled") == ([third], 1)
    assert listed(api, "?type=access") == ([third, first], 2)
    assert listed(api, "?due=2026-06-01") == ([first], 1)
    assert listed(api, "?due=soon") == ([], 0)
    time_machine.move_to("2026-06-01T12:00:00Z", tick=False)
    assert listed(api, "?due=overdue") == ([first], 1)
    time_machine.move_to("2026-06-10T12:00:00Z", tick=False)
    assert listed(api, "?due=soon") == ([first, second], 2)
    for query in ("?status=gone", "?type=erasure", "?due=yesterday", "?page=0"):
        assert api.get(f"privacy/requests{query}")[0] == 400
    assert "user123" not in str(api.get("privacy/requests"))


def test_a_page_costs_the_same_whatever_it_holds(api, ada, django_assert_num_queries, django_assert_max_num_queries):
    request_id = opened(api, type="access", userId="user123")
    api.get(f"privacy/requests/{request_id}")
    with django_assert_max_num_queries(12) as few:
        api.get(f"privacy/requests/{request_id}")
    asked = len(few)
    for number in range(5):
        api.post(f"privacy/requests/{request_id}/notes", {"text": f"Note {number}"})
        opened(api, type="access", userId=f"other{number}")
    with django_assert_num_queries(asked):
        api.get(f"privacy/requests/{request_id}")
    with django_assert_max_num_queries(8):
        api.get("privacy/requests")


def test_the_seed_s_own_request(api, ada):
    """002: type, userId, email; a verification token that proves nothing is refused."""
    body = {"type": "deletion", "userId": "user123", "email": "ada@example.com"}
    status, refused = api.post("privacy/requests", {**body, "verificationToken": "token_abc"})
    assert (status, refused["details"]) == (400, {"path": "verificationToken"})
    status, made = api.post("privacy/requests", {"type": "deletion", "user_id": "user123", "email": "ada@example.com"})
    assert (status, made["status"], made["duplicate"]) == (201, "unverified", False)
    status, again = api.post("privacy/requests", body)
    assert (status, again["id"], again["duplicate"]) == (200, made["id"], True)


def test_what_can_no_longer_be_done_is_a_conflict(api, ada):
    request_id = opened(api, type="access", externalIds={"shopify": "77"}, identifiers={"deviceId": "d1"})
    details = api.get(f"privacy/requests/{request_id}")[1]
    assert details["identifiers"] == {"external:shopify": "77", "device_id": "d1"}
    assert api.post(f"privacy/requests/{request_id}/reject", {})[0] == 400
    status, done = api.post(f"privacy/requests/{request_id}/reject", {"reason": "Not the person"})
    assert (status, done["status"], done["reason"], done["next"]) == (200, "rejected", "Not the person", [])
    for step, body in (("verify", {"how": "call"}), ("process", {}), ("cancel", {}), ("send-link", {}),
                       ("extend", {"days": 1, "reason": "x"})):  # fmt: skip
        assert (step, api.post(f"privacy/requests/{request_id}/{step}", body)[0]) == (step, 409)
    assert api.get("privacy/requests/nonsense")[0] == 404
