"""Profiles by REST (003, 002)."""

import uuid

import pytest

from cdp.access.models import AuditEntry
from cdp.pipeline.process import process_inbox
from cdp.profiles.models import Profile
from tests.calling import Api, ids
from tests.cdp.pipeline.api.conftest import NOW

NOBODY = str(uuid.UUID(int=7))


def document(profile_id: str, **parts: object) -> dict[str, object]:
    return {
        "id": profile_id,
        "externalIds": {},
        "attributes": {},
        "computed": {"firstSeenDate": NOW, "lastSeenDate": NOW, "purchaseCount": 0, "engagementScore": 32},
        "consent": {"updatedAt": NOW},
        "segments": [],
        "createdAt": NOW,
        "updatedAt": NOW,
        **parts,
    }


FULL = {
    "externalIds": {"customerId": "c-1", "shopifyId": "55", "deviceIds": ["d-1", "d-2"]},
    "attributes": {
        "first_name": "Ada",
        "lastName": "Byron",
        "email": "Ada@Example.com",
        "phone": "+370 600 12345",
        "country": "LT",
        "postal_code": "01100",
        "tags": ["vip"],
        "customFields": {"shoe_size": 38, "Nested_Key": {"in_side": 1}},
    },
    "consent": {"email": True, "sms": False},
}


def test_create_and_read_003s_profile(api):
    status, made = api.post("profiles", FULL)
    made["externalIds"]["deviceIds"].sort()  # of the same moment: in no order
    assert (status, made) == (
        201,
        document(
            made["id"],
            externalIds={
                "customerId": "c-1",
                "email": "ada@example.com",
                "phone": "+37060012345",
                "shopifyId": "55",
                "deviceIds": ["d-1", "d-2"],
            },
            attributes={
                "firstName": "Ada",
                "lastName": "Byron",
                "country": "LT",
                "postalCode": "01100",
                "tags": ["vip"],
                "email": "ada@example.com",
                "phone": "+37060012345",
                "customFields": {"Nested_Key": {"in_side": 1}, "shoe_size": 38},
            },
            consent={"email": True, "sms": False, "updatedAt": NOW},
        ),
    )
    status, read = api.get(f"profiles/{made['id']}")
    read["externalIds"]["deviceIds"].sort()
    assert (status, read) == (200, made)


def test_002s_flat_profile_and_001s_sub_record(api):
    body = {
        "email": "bob@example.com",
        "userId": 12,
        "firstName": "Bob",
        "date_of_birth": "1990-01-31",
        "preferredContact": "email",
        "address": {"Street_Name": "x"},
        "preferences": {"news_letter": True},
    }
    _, made = api.post("profiles", body)
    assert made["externalIds"] == {"customerId": "12", "email": "bob@example.com"}
    _, view = api.get(f"customer360/{made['id']}")
    assert view["profile"] == {
        "dateOfBirth": "1990-01-31",
        "preferredContact": "email",
        "address": {"Street_Name": "x"},
        "emergencyContact": None,
        "preferences": {"news_letter": True},
    }


def test_known_identifiers_find_the_person(api, alice):
    status, found = api.post("profiles", {"email": "ALICE@example.com", "lastName": "Liddell"})
    assert (status, found["id"], found["attributes"]["lastName"]) == (200, alice, "Liddell")
    assert Profile.objects.count() == 1


def test_an_empty_profile_is_a_profile(api):
    status, made = api.post("profiles", {})
    assert (status, made) == (201, document(made["id"]))


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"externalIds": {"shopifyId": {"a": 1}}}, "externalIds.shopifyId"),
        ({"externalIds": {"deviceIds": [True]}}, "externalIds.deviceIds"),
        ({"attributes": {"customFields": 5}}, "attributes.customFields"),
        ({"attributes": {"customFields": {"email": "x@example.com"}}}, "attributes.customFields.email"),
        ({"consent": {"sms": 1}}, "$.consent.sms"),
        ({"tags": "vip"}, "$.tags"),
    ],
)
def test_profiles_that_cannot_be_used(api, body, path):
    status, error = api.post("profiles", body)
    assert (status, error["details"]) == (400, {"path": path})
    assert Profile.objects.count() == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_update_sets_what_is_given_and_deletes_null(api, alice, method):
    body = {
        "externalIds": {"shopifyId": "7"},
        "attributes": {"firstName": None, "city": "Vilnius", "nothing": None, "customFields": {"my_key": [1]}},
        "consent": {"tracking": True},
    }
    assert api.call(method, f"profiles/{alice}", body) == (
        200,
        document(
            alice,
            externalIds={"customerId": "alice", "email": "alice@example.com", "shopifyId": "7"},
            attributes={
                "country": "LT",
                "city": "Vilnius",
                "email": "alice@example.com",
                "customFields": {"my_key": [1]},
            },
            consent={"tracking": True, "updatedAt": NOW},
        ),
    )


def test_an_update_is_all_or_nothing(api, alice, bob):
    before = api.get(f"profiles/{alice}")
    status, error = api.put(f"profiles/{alice}", {"email": "bob@example.com", "firstName": "X"})
    assert (status, error["code"]) == (409, "identifier_taken")
    assert api.get(f"profiles/{alice}") == before
    assert api.put(f"profiles/{NOBODY}", {})[0] == 404


def test_delete_removes_the_person(api, alice, bob):
    assert api.delete(f"profiles/{alice}") == (204, None)
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/timeline"), ("GET", "/merges")):
        assert api.call(method, f"profiles/{alice}{path}")[0] == 404
    assert api.get("profiles")[1]["pagination"]["total"] == 1


def test_the_list_has_each_person_once(api, alice, bob):
    _, page = api.get("profiles?limit=1")
    assert (ids(page["data"]), page["pagination"]) == ([bob], {"page": 1, "limit": 1, "total": 2})
    assert ids(api.get("profiles?limit=1&page=2")[1]["data"]) == [alice]
    api.post("profiles/merge", {"sourceIds": [alice, bob]})
    _, page = api.get("profiles")
    assert (ids(page["data"]), page["pagination"]["total"]) == ([alice], 1)
    assert page["data"] == [api.get(f"profiles/{bob}")[1]]


def test_the_list_takes_the_same_number_of_queries_for_one_and_for_three(
    api, alice, bob, django_assert_num_queries, django_assert_max_num_queries
):
    carol = api.post("profiles", {"userId": "carol"})[1]["id"]
    dave = api.post("profiles", {"userId": "dave"})[1]["id"]
    api.post("profiles/merge", {"sourceIds": [carol, dave]})
    with django_assert_max_num_queries(20) as one:
        assert len(api.get("profiles?limit=1")[1]["data"]) == 1
    with django_assert_num_queries(len(one)):
        assert len(api.get("profiles?limit=3")[1]["data"]) == 3


@pytest.fixture
def shopper(api: Api, alice: str) -> str:
    """Alice, who bought once."""
    api.post("events", {"customerId": alice, "event": "Order Completed", "properties": {"revenue": 5}})
    process_inbox()
    return alice


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, ["bob", "alice"]),
        ({"query": "Alice@example.com "}, ["alice"]),
        ({"query": "bob"}, ["bob"]),
        ({"query": "{alice}"}, ["alice"]),
        ({"query": "nobody"}, []),
        ({"filters": {"email": "bob@example.com"}}, ["bob"]),
        ({"filters": {"user_id": "alice", "email": "bob@example.com"}}, []),
        ({"filters": {"identityType": "EMAIL", "identityValue": "bob@example.com"}}, ["bob"]),
        ({"filters": {"minPurchases": 1}}, ["alice"]),
        ({"filters": {"minEvents": 2}}, ["alice"]),
        ({"filters": {"createdAfter": "2026-05-01"}}, ["bob", "alice"]),
        ({"filters": {"createdBefore": "2026-05-01"}}, []),
        ({"filters": {"lastSeenAfter": "2026-05-01", "lastSeenBefore": "2026-05-02"}}, ["bob", "alice"]),
        ({"filters": {"lastSeenBefore": "2026-05-01"}}, []),
        ({"limit": 1, "page": 2}, ["alice"]),
    ],
)
def test_search(api, shopper, bob, body, found):
    people = {"alice": shopper, "bob": bob}
    if "query" in body:
        body = {**body, "query": body["query"].format(**people)}
    status, page = api.post("profiles/search", body)
    assert (status, ids(page["data"])) == (200, [people[name] for name in found])


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 501},
        {"page": 0},
        {"query": 5},
        {"filters": {"identityType": "NOPE", "identityValue": "x"}},
        {"filters": {"createdAfter": "soon"}},
    ],
)
def test_searches_that_mean_nothing(api, body):
    assert api.post("profiles/search", body)[0] == 400


def test_masked_and_clear_reads(api, masked_api, alice, bob):
    AuditEntry.objects.all().delete()
    _, masked = masked_api.get(f"profiles/{alice}")
    assert (masked["externalIds"], masked["attributes"]) == (
        {"customerId": "alice", "email": "a***@e***.com"},
        {"firstName": "A***", "country": "LT", "email": "a***@e***.com"},
    )
    assert masked_api.post("profiles/search", {})[1]["data"][1] == masked
    assert AuditEntry.objects.count() == 0
    api.get("profiles")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object_type, entry.object_ids, entry.fields) == (
        f"key:{api.row.pk}",
        "read",
        "profile",
        [bob, alice],
        ["attributes", "externalIds"],
    )
