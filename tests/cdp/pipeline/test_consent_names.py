"""Consent that messages state under the names of a consent tool: what the gate and the ledger make of it."""

import pytest

from cdp.consents.gate import gate_of
from cdp.consents.models import ConsentRecord, Purpose
from cdp.pipeline.lease import database, ground
from tests.calling import Api
from tests.cdp.pipeline.test_gate import browser, known, names, outcomes
from tests.cdp.segments.making import statements
from tests.sending import message, preferring, send

pytestmark = pytest.mark.django_db

ONETRUST = {
    "ANALYTICS_TRACKING": ["C0002", "Performance Cookies"],
    "PERSONALIZATION": ["C0003"],
    "THIRD_PARTY_SHARING": ["C0004", "C0005"],
    "PROFILING": ["C0004"],
}


@pytest.fixture
def onetrust() -> None:
    for code, words in ONETRUST.items():
        assert Purpose.objects.filter(code=code).update(also_called=words) == 1


def of_u() -> dict[str, bool]:
    return known("user_id", "u")


@pytest.mark.usefixtures("onetrust")
def test_the_gate_and_the_ledger_understand_other_names():
    off, on = preferring(C0002=False), preferring(**{"performance-cookies": True})
    send(
        message(anonymousId="v", event="1"),
        message(anonymousId="v", event="2", context=off),
        message(anonymousId="v", event="3"),
        message(anonymousId="v", event="4", context=on),
        source=browser(),
    )
    assert names() == ["1", "4"]
    rows = ConsentRecord.objects.order_by("id").values_list("type", "granted", "cause")
    assert list(rows) == [("ANALYTICS_TRACKING", False, "preferences"), ("ANALYTICS_TRACKING", True, "preferences")]
    assert outcomes() == {"accepted": 4, "processed": 2, "consent:ANALYTICS_TRACKING": 2}


def test_without_them_nothing_is_understood():
    send(message(userId="u", context=preferring(C0002=False)))
    assert (of_u(), outcomes()["warning:unknown_consent_category"]) == ({}, 1)


@pytest.mark.usefixtures("onetrust")
def test_one_name_of_several_purposes_states_all_of_them_and_of_two_the_withdrawal_counts():
    send(message(userId="u", context=preferring(C0001=True, C0003=True, C0004=True, C0005=False)))
    assert of_u() == {"PERSONALIZATION": True, "PROFILING": True, "THIRD_PARTY_SHARING": False}
    assert outcomes() == {"accepted": 1, "processed": 1, "warning:unknown_consent_category": 1}


@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize(
    ("exact", "wider"),
    [("THIRD_PARTY_SHARING", "c0004"), ("Sharing with third parties", "c0004"), ("c0004", "sharing")],
)
@pytest.mark.usefixtures("onetrust")
def test_code_and_name_are_more_exact_than_another_name_and_a_group_is_less(exact: str, wider: str, granted: bool):
    send(message(userId="u", context=preferring(**{exact: granted, wider: not granted})))
    assert of_u()["THIRD_PARTY_SHARING"] is granted


@pytest.mark.usefixtures("onetrust")
def test_the_whole_configuration_is_still_one_statement():
    with statements() as asked:
        gate = ground(database()).gate
    assert len(asked) == 1
    groups, aliases, called, codes = gate.categories
    assert {word: set(purposes) for word, purposes in aliases.items()} == {
        "c0002": {"ANALYTICS_TRACKING"}, "performance_cookies": {"ANALYTICS_TRACKING"}, "c0003": {"PERSONALIZATION"},
        "c0004": {"THIRD_PARTY_SHARING", "PROFILING"}, "c0005": {"THIRD_PARTY_SHARING"},
    }  # fmt: skip
    assert (len(groups), len(called), len(codes)) == (6, 8, 8)
    assert gate_of([]).categories == ({}, {}, {}, {})


def test_whatever_a_name_is_made_of():
    odd = ["a\tb", 'quo"te', "Žąsis – ünï", "back\\slash", "new\\nline", "100 %"]
    Purpose.objects.filter(code="PROFILING").update(also_called=odd, name="two\nlines")
    for number, word in enumerate(odd):
        send(message(userId=f"u{number}", context=preferring(**{word: True})))
        assert known("user_id", f"u{number}") == {"PROFILING": True}


@pytest.mark.usefixtures("onetrust")
def test_rest_lists_them_and_statements_of_the_api_go_by_code_and_group():
    api = Api("admin")
    told = {one["code"]: one["alsoCalled"] for one in api.get("consents/purposes")[1]["data"]}
    assert {code: words for code, words in told.items() if words} == ONETRUST
    send(message(userId="u"))
    body = {"userId": "u", "purposes": ["C0002"], "granted": True}
    assert api.post("privacy/consent", body)[1]["code"] == "unknown_consent_type"
    assert of_u() == {}
