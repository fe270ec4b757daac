"""Merging and unmerging by REST (001, 002, 003)."""

import uuid

import pytest

from cdp.profiles.models import Merge
from tests.calling import without
from tests.cdp.pipeline.api.conftest import NOW

NOBODY = str(uuid.UUID(int=7))


def values(answer: dict[str, list[dict[str, object]]]) -> dict[object, object]:
    return {part["traitKey"]: (part["traitValue"], part["rule"]) for part in answer["golden"]}


@pytest.mark.parametrize(
    ("strategy", "kept", "first_name"),
    [
        ("merge", "target", "Alice"),
        ("replace", "source", "Bob"),
        ("target", "target", "Alice"),
        ("source", "source", "Bob"),
        ("latest", "latest", "Alice"),
        ("oldest", "oldest", "Alice"),
    ],
)
def test_001s_merge_in_a_dry_run_and_for_good(api, alice, bob, strategy, kept, first_name):
    body = {"sourceCustomerId": bob, "targetCustomerId": alice, "mergeStrategy": strategy}
    status, dry = api.post("identities/merge", {**body, "dryRun": True})
    assert (status, without(dry, "golden")) == (
        200,
        {"customerId": alice, "profileId": alice, "dryRun": True, "strategy": kept, "merges": []},
    )
    assert values(dry)["firstName"] == (first_name, f"strategy {kept}")
    assert Merge.objects.count() == 0
    assert api.get(f"profiles/{bob}")[1]["id"] == bob

    status, done = api.post("identities/merge", body)
    merge = done["merges"][0]
    assert (status, without(done, "golden", "merges")) == (
        200,
        {"customerId": alice, "profileId": alice, "dryRun": False, "strategy": kept},
    )
    assert without(merge, "id") == {
        "targetId": alice,
        "sourceId": bob,
        "cause": "api",
        "strategy": kept,
        "active": True,
        "createdAt": NOW,
        "undoneAt": None,
        "eventId": None,
        "actor": f"key:{api.row.pk}",
    }
    assert done["golden"] == dry["golden"]
    assert api.get(f"profiles/{bob}") == api.get(f"profiles/{alice}")


def test_an_undone_merge_leaves_everything_as_it_was(api, alice, bob):
    before = [api.get(f"customer360/{person}") for person in (alice, bob)]
    _, done = api.post("profiles/merge", {"sourceIds": [alice, bob], "strategy": "latest"})
    merge = done["merges"][0]
    assert api.get(f"profiles/{bob}/merges")[1]["data"] == [merge]
    assert api.post(f"merges/{merge['id']}/undo") == (200, {"mergeId": merge["id"], "customerIds": [alice, bob]})
    assert [api.get(f"customer360/{person}") for person in (alice, bob)] == before
    undone = {**merge, "active": False, "undoneAt": NOW}
    for person in (alice, bob):
        assert api.get(f"profiles/{person}/merges") == (
            200,
            {"data": [undone], "pagination": {"page": 1, "limit": 50, "total": 1}},
        )
    status, error = api.post(f"merges/{merge['id']}/undo")
    assert (status, error["code"]) == (409, "already_undone")
    for missing in ("x", NOBODY):
        assert api.post(f"merges/{missing}/undo")[0] == 404


def test_002s_and_003s_merge_into_a_target(api, alice, bob):
    carol = api.post("profiles", {"userId": "carol"})[1]["id"]
    status, done = api.post("profiles/merge", {"source_ids": [carol, bob], "target_id": alice, "strategy": "target"})
    assert (status, done["customerId"], [(m["targetId"], m["sourceId"]) for m in done["merges"]]) == (
        200,
        alice,
        [(alice, carol), (alice, bob)],
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"sourceIds": []}, 400, "invalid"),
        ({"sourceIds": ["{alice}"]}, 400, "invalid"),
        ({"sourceIds": ["{alice}", "{alice}"]}, 409, "already_merged"),
        ({"sourceIds": ["{alice}", NOBODY]}, 404, "not_found"),
        ({"sourceIds": ["{alice}", "{bob}"], "strategy": "best"}, 400, "unknown_strategy"),
        ({"sourceIds": "{alice}"}, 400, "invalid"),
    ],
)
def test_merges_that_cannot_be(api, alice, bob, body, status, code):
    if isinstance(body["sourceIds"], list):
        body = {**body, "sourceIds": [text.format(alice=alice, bob=bob) for text in body["sourceIds"]]}
    answered, error = api.post("profiles/merge", body)
    assert (answered, error["code"]) == (status, code)
    assert Merge.objects.count() == 0


def test_a_dry_run_masks_what_the_caller_may_not_see(alice, bob, client):
    from django.contrib.auth.models import Permission

    from cdp.access.models import User

    merger = User.objects.create_user("merger")
    merger.user_permissions.add(Permission.objects.get(codename="merge_people"))
    client.force_login(merger)
    body = {"sourceIds": [alice, bob], "dryRun": True}
    answer = client.post("/api/v1/cdp/profiles/merge", body, content_type="application/json").json()
    assert values(answer)["firstName"][0] in {"A***", "B***"}
