"""The admin page of the gate's rules."""

import pytest
from django.test import Client
from django.urls import reverse

from cdp.access.models import AuditEntry
from cdp.consents.models import GateRule
from cdp.pipeline.models import Counter
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer(client: Client) -> Client:
    client.force_login(factories.user("officer", administrator=True))
    return client


def test_a_rule_is_made_read_and_refused_in_words(officer: Client):
    page = reverse("admin:consents_gaterule_add")
    form = {
        "purpose": "PROFILING",
        "calls": ["track", "page"],
        "names": "Quiz Finished\n\n Quiz Finished \nTest Taken",
        "source_kind": "browser",
        "action": "redact",
        "active": "on",
    }
    assert officer.post(page, form).status_code == 302
    rule = GateRule.objects.latest("id")
    assert (rule.purpose_id, rule.calls, rule.names, rule.source_kind, rule.action, rule.active) == (
        "PROFILING",
        ["track", "page"],
        ["Quiz Finished", "Test Taken"],
        "browser",
        "redact",
        True,
    )
    assert AuditEntry.objects.filter(action="add", object_type="gaterule").count() == 1
    listed = officer.get(reverse("admin:consents_gaterule_changelist")).content.decode()
    assert "track, page named Quiz Finished, Test Taken from a browser" in listed
    shown = officer.get(reverse("admin:consents_gaterule_change", args=[rule.pk])).content.decode()
    assert "Quiz Finished\nTest Taken" in shown
    change = reverse("admin:consents_gaterule_change", args=[rule.pk])
    assert officer.post(change, {**form, "names": "Quiz Finished\r\nTest Taken\r\n"}).status_code == 302
    assert AuditEntry.objects.filter(action="change").count() == 0  # a browser's ends of lines are no change
    many = officer.post(page, {**form, "names": "\n".join(f"n{n}" for n in range(201))})
    assert "make several rules" in many.content.decode()
    assert officer.post(page, {**form, "calls": ["identify", "delete"]}).status_code == 200
    assert GateRule.objects.count() == 3


def test_everyone_sees_how_many_messages_a_rule_stopped(officer: Client):
    shop = factories.source()
    Counter.objects.create(day=20_000, source_id=shop.pk, outcome="consent:ANALYTICS_TRACKING", count=41)
    Counter.objects.create(day=20_000, source_id=shop.pk, outcome="accepted", count=97)
    page = reverse("admin:pipeline_counter_changelist")
    all_ = officer.get(page, {"source": shop.pk}).content.decode()
    assert "Not stored: its person does not allow ANALYTICS_TRACKING" in all_
    assert "2024-10-04" in all_
    assert "97" in all_
    stopped = officer.get(page, {"kind": "consent"}).content.decode()
    assert "41" in stopped
    assert ">97<" not in stopped
    assert f"?source={shop.pk}" in officer.get(reverse("admin:access_source_changelist")).content.decode()
