"""The compliance page of the console."""

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cdp.access.models import User
from cdp.consents.ledger import record_consent
from cdp.consents.rates import ConsentRate
from cdp.core.clock import DAY, now_us
from cdp.privacy.compliance_page import DAYS, compliance_page, purpose_rates
from cdp.privacy.models import PrivacyRequest, RetentionPolicy
from tests import factories as make

pytestmark = pytest.mark.django_db
PAGE = "/admin/compliance/"


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    cache.clear()


def signed_in(role: str) -> Client:
    somebody = User.objects.create_user(role, is_staff=True)
    somebody.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(somebody)
    return client


def text(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def asked(due: float, kind: str = "deletion") -> PrivacyRequest:
    at = now_us() + int(due * DAY)
    return PrivacyRequest.objects.create(
        kind=kind, status="pending", channel="api", created_at=0, created_by="x", due_at=at
    )


def test_an_empty_installation_is_told_what_to_do():
    page = text(signed_in("privacy officer"))
    for said in ("No request waits for an answer", "The consent ledger is empty", "Everything is kept for ever"):
        assert said in page


def test_what_it_shows():
    alice = make.profile()
    asked(3)
    asked(-2, kind="access")
    record_consent(alice.pk, "MARKETING_EMAIL", granted=True, at=now_us() - DAY)
    RetentionPolicy.objects.create(name="Old page views", days=30, active=True, changed_at=now_us())
    page = compliance_page(now_us())
    assert [(one.kind, one.left, one.late) for one in page.due] == [
        ("Access", "2 days late", True), ("Deletion", "due in 3 days", False),
    ]  # fmt: skip
    assert [(bar.name, bar.count, bar.percent) for bar in page.statuses] == [("Waits for an officer", 2, 100)]
    [rate] = page.rates
    assert (rate.name, rate.people, rate.granted, rate.withdrawn, rate.percent) == ("Marketing by e-mail", 1, 1, 0, 100)
    shown = text(signed_in("privacy officer"))
    for said in ("Overdue: 1 of 2 open requests.", "2 days late", "Old page views", "Marketing by e-mail"):
        assert said in shown


def test_days_become_weeks():
    days = [ConsentRate(f"d{n}", "A", granted=n % 2, withdrawn=1, people=n) for n in range(DAYS)]
    [rate] = purpose_rates(days, {"A": "Analytics"})
    assert (rate.granted, rate.withdrawn, rate.percent, rate.people) == (45, 91, 33, 90)
    assert len(rate.weeks) == 13
    assert (rate.weeks[0].said, rate.weeks[1].said) == (
        "Week from d0: 3 of 10 granted", "Week from d7: 4 of 11 granted",
    )  # fmt: skip


def test_only_those_who_may_see_requests():
    assert {role: signed_in(role).get(PAGE).status_code for role in ("viewer", "analyst", "marketer")} == {
        "viewer": 403, "analyst": 403, "marketer": 403,
    }  # fmt: skip
    assert Client().get(PAGE).status_code == 302


def test_the_number_of_queries_does_not_grow():
    client = signed_in("privacy officer")

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            text(client)
        return len(queries)

    for number in range(2):
        asked(number)
        RetentionPolicy.objects.create(name=str(number), days=3)
    count()
    few = count()
    for number in range(2, 6):
        asked(number)
        RetentionPolicy.objects.create(name=str(number), days=3)
    assert count() == few
