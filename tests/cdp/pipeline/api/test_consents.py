"""Consents by REST (001, 003)."""

import uuid

import pytest

from cdp.consents.ledger import open_consent
from cdp.consents.models import ConsentRecord
from tests.cdp.pipeline.api.conftest import NOW

NOBODY = str(uuid.UUID(int=7))


def consent(kind: str, granted: bool, **fields: object) -> dict[str, object]:
    return {
        "consentType": kind,
        "granted": granted,
        "source": "customer_portal",
        "cause": "statement",
        "updatedAt": NOW,
        "expiresAt": None,
        **fields,
    }


def test_001s_statement_is_recorded(api, alice):
    body = {
        "consentType": "MARKETING_EMAIL",
        "granted": True,
        "source": "customer_portal",
        "ipAddress": "192.168.1.1",
        "expiresAt": "2027-05-01T00:00:00Z",
        "metadata": {"form_id": 7},
    }
    granted = consent("MARKETING_EMAIL", True, expiresAt="2027-05-01T00:00:00.000Z")
    assert api.post(f"consents/{alice}", body) == (201, granted)
    assert api.get(f"consents/{alice}/MARKETING_EMAIL") == (200, granted)
    row = ConsentRecord.objects.get()
    assert (open_consent(row.body).ip, open_consent(row.body).metadata) == ("192.168.1.1", {"form_id": 7})
    assert b"192.168" not in bytes(row.body)


def test_the_newest_statement_counts_and_none_is_lost(api, alice, time_machine):
    api.post(f"consents/{alice}", {"consentType": "PROFILING", "granted": True, "source": "customer_portal"})
    time_machine.move_to("2026-05-01T13:00:00Z", tick=False)
    withdrawn = {"consentType": "PROFILING", "granted": False}
    api.post(f"consents/{alice}", withdrawn)
    expected = consent("PROFILING", False, updatedAt="2026-05-01T13:00:00.000Z", source=f"key:{api.row.pk}")
    page = {"data": [expected], "pagination": {"page": 1, "limit": 50, "total": 1}}
    assert api.get(f"consents/{alice}") == (200, page)
    assert ConsentRecord.objects.count() == 2


def test_a_grant_that_expired_is_none(api, alice):
    body = {"consentType": "PROFILING", "granted": True, "expiresAt": "2026-05-01T11:00:00Z"}
    assert api.post(f"consents/{alice}", body)[1]["granted"] is False


def test_the_statement_of_a_merged_profile_goes_with_it_when_it_is_undone(api, alice, bob):
    _, merged = api.post("profiles/merge", {"sourceIds": [alice, bob]})
    api.post(f"consents/{bob}", {"consentType": "PROFILING", "granted": True})
    assert api.get(f"consents/{alice}/PROFILING")[1]["granted"] is True
    api.post(f"merges/{merged['merges'][0]['id']}/undo")
    assert api.get(f"consents/{alice}/PROFILING")[0] == 404
    assert api.get(f"consents/{bob}/PROFILING")[1]["granted"] is True


def test_a_merge_keeps_the_more_restrictive_state_while_it_is_active(api, alice, bob):
    api.post(f"consents/{alice}", {"consentType": "PROFILING", "granted": True})
    api.post(f"consents/{bob}", {"consentType": "PROFILING", "granted": False})
    _, merged = api.post("profiles/merge", {"sourceIds": [alice, bob]})
    assert api.get(f"consents/{alice}/PROFILING")[1]["granted"] is False
    api.post(f"merges/{merged['merges'][0]['id']}/undo")
    assert api.get(f"consents/{alice}/PROFILING")[1]["granted"] is True


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ({"consentType": "NOPE", "granted": True}, "unknown_consent_type", "consentType"),
        ({"consentType": "PROFILING", "granted": "yes"}, "invalid", "$.granted"),
        ({"consentType": "PROFILING"}, "invalid", "$"),
        ({"consentType": "PROFILING", "granted": True, "expiresAt": "soon"}, "invalid", "expiresAt"),
    ],
)
def test_statements_that_cannot_be_used(api, alice, body, code, path):
    status, error = api.post(f"consents/{alice}", body)
    assert (status, error["code"], error["details"]) == (400, code, {"path": path})
    assert ConsentRecord.objects.count() == 0


def test_what_was_never_said_is_unknown(api, alice):
    status, error = api.get(f"consents/{alice}/PROFILING")
    assert (status, error["code"]) == (404, "unknown_consent")
    assert api.get(f"consents/{alice}/NOPE")[0] == api.get(f"consents/{NOBODY}")[0] == 404


def test_003s_preferences(api, alice):
    assert api.get(f"consent/{alice}") == (200, {"updatedAt": NOW})
    answer = {"email": True, "sms": False, "updatedAt": NOW}
    assert api.post("consent", {"profileId": alice, "email": True, "sms": False}) == (200, answer)
    assert api.get(f"consent/{alice}") == (200, answer)
    assert [c["consentType"] for c in api.get(f"consents/{alice}")[1]["data"]] == ["MARKETING_EMAIL", "MARKETING_SMS"]
    assert api.post("consent", {"customer_id": alice, "tracking": True})[1]["tracking"] is True
    for body in ({}, {"profileId": alice}, {"profileId": NOBODY, "email": True}):
        assert api.post("consent", body)[0] in {400, 404}
