"""Traits by REST (001)."""

import uuid

import pytest

from cdp.access.models import AuditEntry
from tests.cdp.pipeline.api.conftest import NOW

NOBODY = str(uuid.UUID(int=7))


def trait(person: str, key: str, value: object, **fields: object) -> dict[str, object]:
    return {
        "traitKey": key,
        "traitValue": value,
        "traitType": None,
        "source": "api",
        "computedAt": NOW,
        "expiresAt": None,
        "metadata": {},
        "verified": False,
        "rule": "only value",
        "profileId": person,
        **fields,
    }


def test_set_get_list_delete(api, alice):
    body = {
        "traitKey": "risk_score",
        "traitValue": {"Over_All": 85},
        "traitType": "RISK",
        "source": "computed",
        "computedAt": "2026-04-30T00:00:00Z",
        "expiresAt": "2026-06-01T00:00:00Z",
        "metadata": {"model_version": 3},
    }
    risk = trait(
        alice,
        "risk_score",
        {"Over_All": 85},
        traitType="RISK",
        source="computed",
        computedAt="2026-04-30T00:00:00.000Z",
        expiresAt="2026-06-01T00:00:00.000Z",
        metadata={"model_version": 3},
    )
    assert api.post(f"traits/{alice}", body) == (201, risk)
    assert api.get(f"traits/{alice}/risk_score") == (200, risk)
    country = trait(alice, "country", "LT")
    email = {**trait(alice, "email", "alice@example.com"), "verified": api.get(f"traits/{alice}/email")[1]["verified"]}
    name = trait(alice, "firstName", "Alice")
    page = {"data": [country, email, name, risk], "pagination": {"page": 1, "limit": 50, "total": 4}}
    assert api.get(f"traits/{alice}") == (200, page)
    assert api.get(f"traits/{alice}?traitType=risk")[1]["data"] == [risk]
    assert api.get(f"traits/{alice}?limit=1&page=4")[1]["data"] == [risk]
    assert api.delete(f"traits/{alice}/risk_score") == (204, None)
    assert api.get(f"traits/{alice}/risk_score")[0] == api.delete(f"traits/{alice}/risk_score")[0] == 404


def test_001s_batch_is_all_or_none(api, alice):
    traits = [
        {"traitKey": "preferred_insurance_type", "traitValue": "auto", "traitType": "PREFERENCE"},
        {"trait_key": "risk_score", "trait_value": 85, "trait_type": "RISK", "source": "computed"},
    ]
    assert api.post(f"traits/{alice}/batch", {"traits": traits}) == (
        201,
        {
            "data": [
                trait(alice, "preferred_insurance_type", "auto", traitType="PREFERENCE"),
                trait(alice, "risk_score", 85, traitType="RISK", source="computed"),
            ]
        },
    )
    bad = {"traits": [{"traitKey": "a", "traitValue": 1}, {"traitKey": "b", "traitValue": 1, "traitType": "NOPE"}]}
    assert api.post(f"traits/{alice}/batch", bad)[1]["code"] == "bad_trait_type"
    assert api.get(f"traits/{alice}/a")[0] == 404


def test_expiry_is_honoured_when_it_is_read(api, alice, time_machine):
    gone = {"traitKey": "offer", "traitValue": "x", "expiresAt": "2026-05-01T11:59:59Z"}
    status, answer = api.post(f"traits/{alice}", gone)
    assert (status, answer) == (
        201,
        trait(alice, "offer", "x", expiresAt="2026-05-01T11:59:59.000Z", rule="expired"),
    )
    assert api.get(f"traits/{alice}/offer")[0] == 404
    api.post(f"traits/{alice}", {**gone, "expiresAt": "2026-05-01T12:00:01Z"})
    assert api.get(f"traits/{alice}/offer")[0] == 200
    time_machine.move_to("2026-05-01T12:00:01Z", tick=False)
    assert api.get(f"traits/{alice}/offer")[0] == 404


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ({"traitKey": "a", "traitValue": None}, "null_trait", "traitValue"),
        ({"traitKey": "a"}, "invalid", "$"),
        ({"traitKey": 5, "traitValue": 1}, "invalid", "$.traitKey"),
        ({"traitKey": "", "traitValue": 1}, "bad_trait_key", None),
        ({"traitKey": "a" * 201, "traitValue": 1}, "bad_trait_key", None),
        ({"traitKey": "a", "traitValue": 1, "traitType": "NOPE"}, "bad_trait_type", None),
        ({"traitKey": "a", "traitValue": 1, "expiresAt": "soon"}, "invalid", "expiresAt"),
    ],
)
def test_traits_that_cannot_be_set(api, alice, body, code, path):
    status, error = api.post(f"traits/{alice}", body)
    assert (status, error["code"], error["details"].get("path")) == (400, code, path)


def test_the_path_of_a_trait_in_a_batch(api, alice):
    traits = [{"traitKey": "a", "traitValue": 1}, {"traitKey": "b", "traitValue": 1, "computedAt": "soon"}]
    assert api.post(f"traits/{alice}/batch", {"traits": traits})[1]["details"] == {"path": "traits[1].computedAt"}
    assert api.post(f"traits/{alice}/batch", {"traits": [{"traitKey": 1}]})[1]["details"] == {
        "path": "$.traits[0].traitKey"
    }
    assert api.post(f"traits/{alice}/batch", {"traits": []})[0] == 400


def test_nobody_and_nonsense(api, alice):
    assert api.get(f"traits/{NOBODY}")[0] == api.post(f"traits/{NOBODY}", {"traitKey": "a", "traitValue": 1})[0] == 404
    assert api.get(f"traits/{alice}?traitType=NOPE")[0] == 400


def test_masked_and_clear_reads(api, masked_api, alice):
    AuditEntry.objects.all().delete()
    _, page = masked_api.get(f"traits/{alice}")
    assert [part["traitValue"] for part in page["data"]] == ["LT", "a***@e***.com", "A***"]
    assert AuditEntry.objects.count() == 0
    api.get(f"traits/{alice}/email")
    entry = AuditEntry.objects.get()
    assert (entry.object_ids, entry.fields) == ([alice], ["email"])


def test_engagement_is_computed_and_kept_as_traits(api, alice):
    score = api.get(f"customer360/{alice}")[1]["engagementScore"]
    assert api.post(f"customer360/{alice}/compute-engagement", {}) == (200, score)
    value = api.get(f"customer360/{alice}")[1]["lifetimeValue"]
    assert api.post(f"customer360/{alice}/compute-ltv", {}) == (200, value)
    status, answer = api.post(f"traits/{alice}/compute-engagement", {})
    assert status == 201
    assert {one["traitKey"]: (one["traitValue"], one["traitType"], one["source"]) for one in answer["data"]} == {
        f"engagement_{name.removesuffix('Score')}_score": (number, "ENGAGEMENT", "computed")
        for name, number in score.items()
        if name != "computedAt"
    }
    assert api.get(f"traits/{alice}/engagement_overall_score")[1]["traitValue"] == score["overallScore"]
