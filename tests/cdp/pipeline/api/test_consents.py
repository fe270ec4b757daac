"""Consents by REST (001, 003)."""

import uuid

import pytest

from cdp.access.models import AuditEntry
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
        "documentVersion": None,
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
    assert (open_consent(row.body).ip, open_consent(row.body).metadata) == ("192.168.1.0", {"form_id": 7})
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


def test_codes_in_any_case_and_a_group_that_states_all_its_types(api, alice):
    assert api.post(f"consents/{alice}", {"consentType": "profiling", "granted": True})[1]["consentType"] == "PROFILING"
    status, said = api.post(f"consents/{alice}", {"consentType": "Marketing", "granted": True, "source": "form"})
    assert (status, said["consentType"], said["granted"]) == (201, "marketing", True)
    codes = ["MARKETING_EMAIL", "MARKETING_PUSH", "MARKETING_SMS"]
    assert [part["consentType"] for part in said["purposes"]] == codes
    assert [c["consentType"] for c in api.get(f"consents/{alice}")[1]["data"]] == [*codes, "PROFILING"]
    assert api.get(f"consents/{alice}/marketing")[0] == 404
    assert api.get(f"consents/{alice}/Marketing_Email")[1]["granted"] is True


def test_the_vocabulary(api):
    [first, *rest] = api.get("consents/purposes")[1]["data"]
    assert first == {
        "code": "MARKETING_EMAIL",
        "name": "Marketing by e-mail",
        "group": "marketing",
        "alsoCalled": [],
        "description": "",
        "unknown": "deny",
        "builtin": True,
    }
    assert len(rest) == 7
    status, error = api.post(f"consents/{NOBODY}", {"consentType": "NOPE", "granted": True})
    assert (status, error["message"]) == (
        400,
        "'NOPE' is no consent type. Use one of: MARKETING_EMAIL, MARKETING_SMS, MARKETING_PUSH, DATA_PROCESSING,"
        " THIRD_PARTY_SHARING, ANALYTICS_TRACKING, PERSONALIZATION, PROFILING. Groups: analytics, marketing,"
        " processing, sharing.",
    )


def test_the_state_at_a_past_moment(api, alice, time_machine):
    api.post("consent", {"profileId": alice, "email": True})
    time_machine.move_to("2026-05-02T12:00:00Z", tick=False)
    api.post("consent", {"profileId": alice, "email": False})
    then = "2026-05-02T11:59:59Z"
    assert api.get(f"consents/{alice}?at={then}")[1]["data"] == [consent("MARKETING_EMAIL", True, source=by(api))]
    assert api.get(f"consents/{alice}/MARKETING_EMAIL?at={then}")[1]["granted"] is True
    assert api.get(f"consent/{alice}?at={then}")[1] == {"email": True, "updatedAt": NOW}
    assert api.get(f"consents/{alice}?at=2026-05-01T11:00:00Z")[1]["data"] == []
    assert api.get(f"consents/{alice}/MARKETING_EMAIL")[1]["granted"] is False
    for at, code in (("2026-05-03", "in_the_future"), ("soon", "invalid_date")):
        status, error = api.get(f"consents/{alice}?at={at}")
        assert (status, error["code"], error["details"]) == (400, code, {"path": "at"})


def test_a_past_state_is_that_of_the_person_of_that_time(api, alice, bob, time_machine):
    api.post(f"consents/{bob}", {"consentType": "PROFILING", "granted": False})
    api.post(f"consents/{alice}", {"consentType": "PROFILING", "granted": True})
    time_machine.move_to("2026-05-02T12:00:00Z", tick=False)
    _, merged = api.post("profiles/merge", {"sourceIds": [alice, bob]})
    time_machine.move_to("2026-05-03T12:00:00Z", tick=False)
    api.post(f"merges/{merged['merges'][0]['id']}/undo")
    time_machine.move_to("2026-05-04T12:00:00Z", tick=False)

    def granted(who, at):
        return api.get(f"consents/{who}/PROFILING?at={at}")[1]["granted"]

    apart, together = ("2026-05-02T11:00:00Z", "2026-05-03T13:00:00Z"), "2026-05-03T11:00:00Z"
    assert [granted(alice, at) for at in apart] == [True, True]
    assert [granted(bob, at) for at in (*apart, together)] == [False, False, False]
    assert granted(alice, together) is False


def test_a_statement_of_the_past_counts_from_when_it_was_made(api, alice, time_machine):
    body = {"consentType": "PROFILING", "granted": False, "documentVersion": "terms-3", "source": "paper"}
    time_machine.move_to("2026-06-01T12:00:00Z", tick=False)
    api.post(f"consents/{alice}", {"consentType": "PROFILING", "granted": True, "at": "2026-05-20T12:00:00Z"})
    said = api.post(f"consents/{alice}", {**body, "at": "2026-05-10T12:00:00Z"})
    assert (said[0], said[1]["granted"]) == (201, True)
    assert api.get(f"consents/{alice}/PROFILING?at=2026-05-15")[1] == consent(
        "PROFILING", False, source="paper", documentVersion="terms-3", updatedAt="2026-05-10T12:00:00.000Z"
    )
    later = {"consentType": "PROFILING", "granted": True, "at": "2026-06-01T12:00:01Z"}
    status, error = api.post(f"consents/{alice}", later)
    assert (status, error["code"], error["details"]) == (400, "in_the_future", {"path": "at"})


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"granted": False, "expiresAt": "2027-01-01"}, "expiresAt"),
        ({"granted": True, "ipAddress": "home"}, "ipAddress"),
        ({"granted": True, "source": "x" * 101}, "source"),
        ({"granted": True, "documentVersion": "x" * 101}, "documentVersion"),
        ({"granted": True, "metadata": {"note": "x" * 9000}}, "metadata"),
    ],
)
def test_what_a_statement_cannot_hold(api, alice, body, path):
    status, error = api.post(f"consents/{alice}", {"consentType": "PROFILING", **body})
    assert (status, error["details"]) == (413 if path == "metadata" else 400, {"path": path})
    assert ConsentRecord.objects.count() == 0


def test_the_full_address_is_kept_only_where_the_installation_says_so(api, alice, settings):
    settings.KEEP_FULL_IP = True
    api.post(f"consents/{alice}", {"consentType": "PROFILING", "granted": True, "ipAddress": "2001:db8::7"})
    assert open_consent(ConsentRecord.objects.get().body).ip == "2001:db8::7"


def test_002s_consent_by_identifiers(api, alice):
    body = {"userId": "alice", "email": "alice@example.com", "purposes": ["marketing", "analytics"], "channel": "web"}
    status, said = api.post("privacy/consent", body)
    assert (status, said["customerId"]) == (201, alice)
    assert [(c["consentType"], c["granted"], c["source"]) for c in said["consents"]] == [
        ("ANALYTICS_TRACKING", True, "web"),
        ("MARKETING_EMAIL", True, "web"),
        ("MARKETING_PUSH", True, "web"),
        ("MARKETING_SMS", True, "web"),
    ]
    body = {"user_id": "alice", "purposes": ["MARKETING_SMS"], "granted": False}
    assert [c["granted"] for c in api.post("privacy/consent", body)[1]["consents"]] == [False]


def test_consent_by_identifiers_makes_nobody_and_guesses_nobody(api, alice, bob):
    body = {"userId": "nobody", "email": "nobody@example.com", "purposes": ["marketing"]}
    status, error = api.post("privacy/consent", body)
    assert (status, error["code"]) == (404, "nobody_known")
    assert "POST profiles" in error["message"]
    status, error = api.post("privacy/consent", {**body, "userId": "alice", "email": "bob@example.com"})
    assert (status, error["code"]) == (409, "identifiers_disagree")
    for wrong in ({"purposes": ["marketing"]}, {"userId": "alice", "purposes": []}, {"userId": "alice"}):
        assert api.post("privacy/consent", wrong)[0] == 400
    assert api.post("privacy/consent", {"userId": "alice", "purposes": ["nope"]})[1]["details"] == {"path": "purposes"}
    assert ConsentRecord.objects.count() == 0


def test_the_history_has_every_statement(api, masked_api, alice, bob):
    body = {"consentType": "PROFILING", "granted": True, "ipAddress": "192.168.1.1", "metadata": {"form": 7}}
    api.post(f"consents/{alice}", {**body, "documentVersion": "v2"})
    api.post(f"consents/{bob}", {"consentType": "PROFILING", "granted": False})
    _, merged = api.post("profiles/merge", {"sourceIds": [alice, bob]})
    _, page = api.get(f"consents/{alice}/history")
    assert [(one["profileId"], one["granted"], one["cause"], one["mergeId"]) for one in page["data"]] == [
        (alice, False, "merge", merged["merges"][0]["id"]),
        (bob, False, "statement", None),
        (alice, True, "statement", None),
    ]
    assert page["data"][2] == {
        "id": page["data"][2]["id"],
        "profileId": alice,
        "consentType": "PROFILING",
        "granted": True,
        "at": NOW,
        "recordedAt": NOW,
        "expiresAt": None,
        "source": by(api),
        "documentVersion": "v2",
        "cause": "statement",
        "mergeId": None,
        "eventId": None,
        "ipAddress": "192.168.1.0",
        "metadata": {"form": 7},
    }
    _, first = api.get(f"consents/{alice}/history?limit=2")
    _, second = api.get(f"consents/{alice}/history?limit=2&cursor={first['next']}")
    assert ([*first["data"], *second["data"]], second["next"]) == (page["data"], None)
    assert api.get(f"consents/{alice}/history?consentType=marketing")[1]["data"] == []
    assert api.get(f"consents/{alice}/history?cursor=7")[0] == 400
    assert "192.168" not in str(masked_api.get(f"consents/{alice}/history")[1])


def test_officers_export_the_ledger(api, masked_api, alice, bob):
    api.post(f"consents/{alice}", {"consentType": "marketing", "granted": True, "ipAddress": "192.168.1.1"})
    api.post(f"consents/{bob}", {"consentType": "PROFILING", "granted": False})

    def exported(query=""):
        headers = {"Authorization": f"Bearer {api.key}"}
        answer = api.client.post(f"/api/v1/cdp/privacy/consents/export{query}", headers=headers)
        return [tuple(line.split(",")[1:4]) for line in answer.getvalue().decode().splitlines()[1:]]

    whole = [(alice, f"MARKETING_{c}", "true") for c in ("EMAIL", "SMS", "PUSH")] + [(bob, "PROFILING", "false")]
    assert exported() == whole
    assert (
        exported("?granted=false") == exported(f"?customerId={bob}") == exported("?consentType=profiling") == whole[3:]
    )
    assert exported("?to=2026-05-01") == []
    assert api.post("privacy/consents/export?granted=maybe")[1]["details"] == {"path": "granted"}
    assert masked_api.post("privacy/consents/export")[0] == 403
    [*_, last] = AuditEntry.objects.filter(action="export").order_by("id")
    assert (last.object_type, last.actor, last.why) == ("consentrecord", by(api), "to=2026-05-01")


def by(api):
    return f"key:{api.row.pk}"
