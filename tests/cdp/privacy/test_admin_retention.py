"""The console: legal holds and retention policies."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cdp.access.models import AuditEntry, User
from cdp.core.clock import DAY, now_us
from cdp.privacy.holds import held, place_hold
from cdp.privacy.models import LegalHold, RetentionPolicy
from tests import factories as make

pytestmark = pytest.mark.django_db
HOLDS, POLICIES = (f"admin:privacy_{name}" for name in ("legalhold", "retentionpolicy"))


def signed_in(role: str) -> Client:
    officer = User.objects.create_user(role, is_staff=True)
    officer.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(officer)
    AuditEntry.objects.all().delete()
    return client


@pytest.fixture
def officer():
    return signed_in("privacy officer")


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def recorded():
    return list(AuditEntry.objects.exclude(action="read").order_by("id").values_list("action", "object_type"))


def test_a_hold_is_placed_by_any_identifier_and_released(officer):
    alice = make.profile()
    make.identifier(alice, "email", "alice@example.com")
    answer = officer.post(reverse(f"{HOLDS}_add"), {"who": "alice@example.com", "reason": "Case 1"}, follow=True)
    hold = LegalHold.objects.get()
    assert (hold.reason, hold.person_id, held([alice.pk])) == ("Case 1", alice.pk, {alice.pk})
    assert "The person is held from now on." in text(answer)
    assert str(alice.public_id) in text(officer.get(reverse(f"{HOLDS}_changelist")))
    page = reverse(f"{HOLDS}_change", args=[hold.pk])
    assert "needs a reason" in text(officer.post(page, {"why": " "}, follow=True))
    assert "Released." in text(officer.post(page, {"why": "Closed"}, follow=True))
    assert (held([alice.pk]), recorded()) == (set(), [("hold", "legalhold"), ("release", "legalhold")])
    assert "released already" in text(officer.post(page, {"why": "Closed"}, follow=True))


def test_nobody_is_held_by_mistake(officer):
    answer = officer.post(reverse(f"{HOLDS}_add"), {"who": "nobody@example.com", "reason": "Case 1"})
    assert "Nobody has this identifier." in text(answer)
    assert LegalHold.objects.count() == 0


def form(**fields):
    return {"name": "Old", "subject": "events", "days": "30", "event_names": "Seen\n\nPURCHASE\r\n", **fields}


def test_a_policy_is_made_tried_and_asked_to_run(officer):
    make.event(make.profile(), "Seen", ts=now_us() - 40 * DAY)
    officer.post(reverse(f"{POLICIES}_add"), form())
    policy = RetentionPolicy.objects.get()
    assert (policy.event_names, policy.days, policy.active) == (["Seen", "PURCHASE"], 30, False)
    look = reverse(f"{POLICIES}_look", args=[policy.pk])
    assert "would delete <strong>1 events</strong>" in text(officer.get(look))
    assert "Only an active policy deletes" in text(officer.get(look))
    assert "look at the preview" in text(officer.post(look, follow=True))
    change = reverse(f"{POLICIES}_change", args=[policy.pk])
    officer.post(change, form(active="on"))
    policy.refresh_from_db()
    assert (policy.active, policy.wanted_at) == (True, None)
    assert "The worker runs it now" in text(officer.post(look, follow=True))
    policy.refresh_from_db()
    assert policy.wanted_at is not None
    assert recorded() == [(action, "retentionpolicy") for action in ("add", "change", "run")]
    assert AuditEntry.objects.get(action="change").fields == ["active"]
    officer.post(reverse(f"{POLICIES}_delete", args=[policy.pk]), {"post": "yes"})
    assert (RetentionPolicy.objects.count(), recorded()[-1]) == (0, ("delete", "retentionpolicy"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"days": "0"}, "from 1 to 36500"),
        ({"subject": "profiles"}, "for events only"),
        ({"logs": ["quarantine"]}, "for request logs only"),
    ],
)
def test_what_is_refused(officer, fields, said):
    assert said in text(officer.post(reverse(f"{POLICIES}_add"), form(**fields)))
    assert RetentionPolicy.objects.count() == 0


@pytest.mark.parametrize("role", ["analyst", "marketer", "viewer"])
def test_others_see_nothing_of_it(role):
    hold = place_hold(make.profile(), reason="x", actor="test")
    policy = RetentionPolicy.objects.create(name="x", days=3, active=True)
    client = signed_in(role)
    for address in (
        reverse(f"{HOLDS}_changelist"),
        reverse(f"{HOLDS}_change", args=[hold.pk]),
        reverse(f"{HOLDS}_add"),
        reverse(f"{POLICIES}_changelist"),
        reverse(f"{POLICIES}_look", args=[policy.pk]),
    ):
        assert (client.get(address).status_code, client.post(address, {}).status_code) == (403, 403), address


def test_the_list_of_holds_asks_the_same_for_one_and_for_many(officer):
    counts = []
    for _ in range(2):
        place_hold(make.profile(), reason="x", actor="test")
        with CaptureQueriesContext(connection) as asked:
            officer.get(reverse(f"{HOLDS}_changelist"))
        counts.append(len(asked))
    assert counts[0] == counts[1]
