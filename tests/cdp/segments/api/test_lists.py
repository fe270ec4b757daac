"""Static segments and what all segments share, by REST."""

import csv
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from cdp.access.models import AuditEntry, User
from cdp.core.clock import iso
from cdp.segments.models import Segment
from tests.calling import Api, without
from tests.cdp.segments.making import a_list, some_people
from tests.factories import identifier, traits

pytestmark = pytest.mark.django_db

TIMES = ("createdAt", "updatedAt", "computedAt", "lastComputed", "sweptAt")


@pytest.fixture
def api() -> Api:
    return Api("read", "write")


def make(api: Api, **body: Any) -> dict[str, Any]:
    status, answer = api.post("segments", {"name": "VIP customers", "type": "manual", **body})
    assert status == 201, answer
    return dict(answer)


def test_a_static_segment_is_made_read_changed_and_deleted(api: Api) -> None:
    made = make(api, description="By hand")
    assert without(made, "id", *TIMES) == {
        "key": "vip-customers",
        "name": "VIP customers",
        "description": "By hand",
        "type": "manual",
        "rules": None,
        "words": "People who were put on its list.",
        "size": 0,
        "status": "ready",
        "freshness": 0.0,
        "error": None,
        "errorAt": None,
        "windowed": False,
    }
    assert api.get(f"segments/{made['id']}") == (200, made)
    assert api.get("segments/vip-customers") == (200, made)
    status, changed = api.put("segments/vip-customers", {"name": "VIPs"})
    assert (status, without(changed, "updatedAt")) == (200, {**without(made, "updatedAt"), "name": "VIPs"})
    assert api.get("segments")[1]["data"] == [changed]
    assert api.delete("segments/vip-customers") == (204, None)
    assert api.get("segments/vip-customers")[0] == 404


@pytest.mark.parametrize(
    ("given", "kept"),
    [("static", "static"), ("Manual", "manual"), ("SUPPRESSION", "suppression"), ("Lookalike", "lookalike")],
)
def test_types_as_the_seeds_write_them(api: Api, given: str, kept: str) -> None:
    assert make(api, type=given)["type"] == kept


@pytest.mark.parametrize(
    ("body", "path", "sentence"),
    [
        ({"type": "manual"}, "name", "Give the segment a name."),
        ({"name": "x", "type": "magic"}, "type", "'magic' is no type of segment. Use one of: rule-based, dynamic"),
        ({"name": "x", "type": "manual", "rules": {"field": "a"}}, "rules", "has a list of members and no rule"),
        ({"name": "x"}, "rules", "Give the segment a rule"),
        ({"name": "x", "rules": {}, "conditions": []}, "conditions", "not both"),
        ({"name": "x" * 201, "type": "manual"}, "name", "200 characters"),
        ({"name": "x", "type": "manual", "key": "No Spaces"}, "key", "small letters"),
    ],
)
def test_what_cannot_be_a_segment(api: Api, body: dict[str, Any], path: str, sentence: str) -> None:
    status, answer = api.post("segments", body)
    assert (status, answer["details"]["path"]) == (400, path)
    assert sentence in answer["message"]


def test_a_key_is_one_segments_and_stays(api: Api) -> None:
    make(api, key="vip")
    status, answer = api.post("segments", {"name": "x", "type": "manual", "key": "vip"})
    assert (status, answer["code"]) == (409, "key_taken")
    assert [make(api)["key"] for _ in range(2)] == ["vip-customers", "vip-customers-2"]
    assert api.put("segments/vip", {"key": "other"})[0] == 400
    assert api.put("segments/vip", {"type": "rule-based", "rules": {}})[1]["details"] == {"path": "type"}


def test_members_are_added_by_id_and_by_identifier_and_removed(api: Api) -> None:
    alice, bob = some_people(2)
    identifier(bob, "email", "bob@example.com")
    make(api, key="vip")
    nobody = "00000000-0000-0000-0000-000000000009"
    body = {
        "profileIds": [str(alice.public_id), nobody],
        "identifiers": [{"type": "EMAIL", "value": "Bob@Example.com"}, {"type": "email", "value": "x@example.com"}],
    }
    assert api.post("segments/vip/members", body) == (
        200,
        {"changed": 2, "size": 2, "unknown": [nobody, "identifiers[1]"]},
    )
    status, page = api.get("segments/vip/members")
    assert (status, page["pagination"]) == (200, {"page": 1, "limit": 50, "total": 2})
    assert [row["id"] for row in page["data"]] == [str(alice.public_id), str(bob.public_id)]
    assert api.call("DELETE", "segments/vip/members", {"profileIds": [str(alice.public_id)]})[1]["size"] == 1
    assert api.get("segments/vip/size")[1]["size"] == 1
    history = api.get("segments/vip/history")[1]["data"]
    assert [without(point, "at") for point in history] == [{"size": 1, "entered": 2, "left": 1}]
    first = api.get("segments/vip/changes?limit=2")[1]
    assert [(row["profileId"], row["change"], row["cause"]) for row in first["data"]] == [
        (str(alice.public_id), "entered", "manual"),
        (str(bob.public_id), "entered", "manual"),
    ]
    rest = api.get(f"segments/vip/changes?cursor={first['next']}")[1]
    assert [(row["profileId"], row["change"]) for row in rest["data"]] == [(str(alice.public_id), "left")]
    assert api.get(f"segments/vip/changes?cursor={rest['next']}")[1] == {"data": [], "next": rest["next"]}
    assert api.get("customer360/" + str(bob.public_id))[1]["segments"] == ["vip"]
    assert api.get("profiles/" + str(bob.public_id))[1]["segments"] == ["vip"]
    assert api.get("profiles/" + str(alice.public_id))[1]["segments"] == []


def test_pages_of_members_by_cursor_and_masked_and_recorded(api: Api) -> None:
    people = some_people(3)
    for number, person in enumerate(people):
        identifier(person, "email", f"person{number}@example.com")
        traits(person, firstName="Ada", lastName="Lovelace")
    make(api, key="vip")
    api.post("segments/vip/members", {"profileIds": [str(person.public_id) for person in people]})
    first = api.get("segments/vip/members?cursor=&limit=2")[1]
    second = api.get(f"segments/vip/members?cursor={first['next']}&limit=2")[1]
    assert [row["id"] for row in [*first["data"], *second["data"]]] == [str(p.public_id) for p in people]
    assert second["next"] is None
    row = first["data"][0]
    entered = iso(Segment.objects.get(key="vip").membership_set.first().entered_at)
    assert row == {
        "id": str(people[0].public_id),
        "name": "Ada Lovelace",
        "contact": "person0@example.com",
        "events": 0,
        "purchases": 0,
        "lastSeen": iso(people[0].last_seen),
        "enteredAt": entered,
    }
    entry = AuditEntry.objects.order_by("-id").first()
    assert entry is not None
    assert (entry.object_type, entry.object_ids) == ("profile", [str(people[2].public_id)])
    masked = Api("read_masked").get("segments/vip/members?limit=1")[1]["data"][0]
    assert (masked["name"], masked["contact"]) == ("A***", "p***@e***.com")
    assert api.get("segments/vip/members?cursor=x")[1]["code"] == "invalid_cursor"


def test_the_statements_of_a_page_do_not_grow(api: Api, django_assert_max_num_queries: Any) -> None:
    from tests.cdp.segments.making import statements

    def asked(count: int, key: str) -> int:
        make(api, key=key)
        api.post(f"segments/{key}/members", {"profileIds": [str(p.public_id) for p in some_people(count)]})
        with statements() as seen, django_assert_max_num_queries(40) as captured:
            assert len(api.get(f"segments/{key}/members")[1]["data"]) == count
        return len(seen) + len(captured)

    asked(1, "first")  # reads the catalogue
    assert asked(1, "one") == asked(20, "many")


def test_a_file(api: Api) -> None:
    alice, bob = some_people(2)
    identifier(alice, "email", "alice@example.com")
    make(api, key="vip")
    api.post("segments/vip/members", {"profileIds": [str(alice.public_id), str(bob.public_id)]})
    client = Client()
    headers = {"Authorization": f"Bearer {api.key}"}
    answer = client.post("/api/v1/cdp/segments/vip/export?fields=id,email", headers=headers)
    assert (answer.headers["Content-Type"], answer.headers["Content-Disposition"]) == (
        "text/csv; charset=utf-8",
        'attachment; filename="vip.csv"',
    )
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert rows == [["id", "email"], [str(alice.public_id), "alice@example.com"], [str(bob.public_id), ""]]
    entry = AuditEntry.objects.order_by("-id").first()
    assert entry is not None
    assert (entry.action, entry.object_type, entry.fields) == ("export", "segment", ["email", "id"])
    masked = client.post(
        "/api/v1/cdp/segments/vip/export?fields=email&format=json",
        headers={"Authorization": f"Bearer {Api('read_masked').key}"},
    )
    found = json.loads(b"".join(masked.streaming_content))  # type: ignore[attr-defined]
    assert found == [{"email": "a***@e***.com"}, {"email": None}]


def test_overlap(api: Api) -> None:
    alice, bob = some_people(2)
    for key, people in (("one", [alice]), ("both", [alice, bob])):
        make(api, key=key)
        api.post(f"segments/{key}/members", {"profileIds": [str(person.public_id) for person in people]})
    pair = {
        "first": "one", "second": "both", "common": 1, "either": 2, "jaccard": 0.5, "ofFirst": 1.0, "ofSecond": 0.5,
    }  # fmt: skip
    assert api.get("segments/one/overlap/both") == (200, pair)
    assert api.post("segments/overlap", {"segments": ["one", "both"]}) == (
        200,
        {"segments": ["one", "both"], "counts": [[1, 1], [1, 2]], "pairs": [pair]},
    )
    assert api.post("segments/overlap", {"segments": []})[0] == 400
    assert api.post("segments/overlap", {"segments": ["one", "none"]})[0] == 404


def test_an_audience(api: Api) -> None:
    alice, bob, carol = some_people(3)
    for key, people in (("vip", [alice, bob, carol]), ("complained", [bob])):
        make(api, key=key)
        api.post(f"segments/{key}/members", {"profileIds": [str(person.public_id) for person in people]})
    body = {"name": "Spring", "segment": "vip", "suppressed": ["complained"]}
    status, made = api.post("audiences", body)
    vip = Segment.objects.get(key="vip")
    assert (status, without(made, "id", *TIMES)) == (
        201,
        {
            "key": "spring",
            "name": "Spring",
            "description": "",
            "segment": "vip",
            "segmentId": str(vip.public_id),
            "segmentSize": 3,
            "suppressed": ["complained"],
            "holdOut": 0.0,
            "consent": None,
        },
    )
    assert api.get("audiences/spring/size") == (
        200,
        {"segment": 3, "suppressed": 1, "withoutConsent": 0, "heldOut": 0, "size": 2},
    )
    page = api.get("audiences/spring/members?limit=1")[1]
    assert [row["id"] for row in page["data"]] == [str(alice.public_id)]
    after = api.get(f"audiences/spring/members?cursor={page['next']}")[1]
    assert ([row["id"] for row in after["data"]], after["next"]) == ([str(carol.public_id)], None)
    answer = Client().post(f"/api/v1/cdp/audiences/{made['id']}/export", headers={"X-API-Key": api.key})
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert [line.split(",")[0] for line in lines] == ["id", str(alice.public_id), str(carol.public_id)]
    assert api.post("audiences", {"name": "All", "segmentId": str(vip.public_id)})[0] == 201
    assert api.get("audiences/spring/overlap")[1]["data"] == [
        {"first": "spring", "second": "all", "common": 2, "either": 3, "jaccard": 0.666667, "ofFirst": 1.0,
         "ofSecond": 0.666667},
    ]  # fmt: skip
    assert api.put("audiences/spring", {"holdOut": 100})[1]["holdOut"] == 100.0
    assert api.get("audiences/spring/size")[1]["heldOut"] == 2
    assert api.delete("segments/vip")[1]["code"] == "segment_in_use"
    assert api.delete("audiences/spring") == (204, None)
    assert [row["key"] for row in api.get("audiences")[1]["data"]] == ["all"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"segment": "vip"}, "name"),
        ({"name": "x"}, "segment"),
        ({"name": "x", "segment": "vip", "holdOut": 101}, "holdOut"),
        ({"name": "x", "segment": "vip", "consent": "FAX"}, "consent"),
        ({"name": "x", "segment": "vip", "key": "A"}, "key"),
    ],
)
def test_what_cannot_be_an_audience(api: Api, body: dict[str, Any], path: str) -> None:
    a_list()
    status, answer = api.post("audiences", body)
    assert (status, answer["details"]["path"]) == (400, path)


@pytest.mark.parametrize(
    ("role", "may_define", "may_export"),
    [("viewer", False, False), ("analyst", True, False), ("marketer", True, True), ("administrator", True, True)],
)
def test_who_may_what(role: str, may_define: bool, may_export: bool) -> None:
    a_list()
    user = User.objects.create_user(role)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    assert client.get("/api/v1/cdp/segments/vip").status_code == 200
    made = client.post("/api/v1/cdp/segments", {"name": "x", "type": "manual"}, content_type="application/json")
    assert made.status_code == (201 if may_define else 403)
    assert client.post("/api/v1/cdp/segments/vip/export").status_code == (200 if may_export else 403)
