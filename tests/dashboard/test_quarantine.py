"""The quarantine's pages (E7): see why, correct, replay, discard."""

import json

import pytest
from django.urls import reverse

from cdp.access.models import AuditEntry
from cdp.access.source import SourceRef
from cdp.core.clock import now_us
from cdp.events.models import Event, QuarantinedMessage
from cdp.pipeline.accept import accept
from cdp.pipeline.process import process_inbox
from tests import factories as make

pytestmark = pytest.mark.django_db
LISTING = "admin:events_quarantinedmessage_changelist"
VIEW = "events.view_quarantinedmessage"
REPLAY = "access.replay_quarantine"


def refuse(raw=b'{"type": "track", "event": "Bought", "properties": {"email": "ada@example.com"}}'):
    """A quarantined message: nobody's, because it has no id."""
    accept([raw], source=SourceRef.of(make.source("shop")), received=now_us())
    return QuarantinedMessage.objects.latest("id")


def page(client, row):
    return reverse("admin:events_quarantinedmessage_change", args=[row.pk])


def text_of(response):
    assert response.status_code == 200, response.status_code
    return response.content.decode()


@pytest.fixture
def clerk(client):
    client.force_login(make.user("carl", permissions=(VIEW, REPLAY, "access.view_personal")))
    return client


def test_correct_and_replay(clerk):
    row = refuse()
    shown = text_of(clerk.get(page(clerk, row)))
    assert (row.reason in shown, "ada@example.com" in shown) == (True, True)
    corrected = json.dumps({"type": "track", "event": "Bought", "userId": "u-1"})
    answer = clerk.post(page(clerk, row), {"message": corrected, "replay": "1"}, follow=True)
    assert "Replayed: 1." in text_of(answer)
    process_inbox()
    assert Event.objects.get().name == "Bought"
    assert "Replay</button>" not in text_of(clerk.get(page(clerk, row)))
    assert list(AuditEntry.objects.order_by("id").values_list("action", "object_type", "object_ids")) == [
        ("read", "quarantine", [str(row.pk)]),
        ("replay", "quarantine", [str(row.pk)]),
        ("read", "quarantine", [str(row.pk)]),
    ]


@pytest.mark.parametrize(
    ("message", "says"), [("{not json", "This is no JSON yet"), ('{"type": "track", "event": "x"}', "Still refused")]
)
def test_a_correction_that_is_none_keeps_what_was_typed(message, says, clerk):
    row = refuse()
    shown = clerk.post(page(clerk, row), {"message": message, "replay": "1"})
    assert says in text_of(shown)
    assert shown.context["text"] == message
    row.refresh_from_db()
    assert row.status == "open"


def test_discard(clerk):
    row = refuse()
    assert "Discarded." in text_of(clerk.post(page(clerk, row), {"discard": "1"}, follow=True))
    row.refresh_from_db()
    assert row.status == "discarded"
    assert clerk.post(page(clerk, row), {"replay": "1"}).status_code == 403


def test_in_bulk(clerk):
    rows = [refuse(b'{"type": "track", "event": "x", "n": %d}' % number) for number in range(3)]
    chosen = {"_selected_action": [row.pk for row in rows[:2]]}
    answer = clerk.post(reverse(LISTING), {"action": "replay_selected", **chosen}, follow=True)
    assert text_of(answer).count("is still refused") == 2
    assert "Discarded: 2." in text_of(
        clerk.post(reverse(LISTING), {"action": "discard_selected", **chosen}, follow=True)
    )
    assert list(QuarantinedMessage.objects.order_by("id").values_list("status", flat=True)) == [
        "discarded", "discarded", "open",
    ]  # fmt: skip


def test_is_masked_and_cannot_be_corrected_without_the_right(client):
    row = refuse()
    client.force_login(make.user("vera", permissions=(VIEW,)))
    shown = text_of(client.get(page(client, row)))
    assert ("ada@example.com" in shown, "a***@e***.com" in shown, "<textarea" in shown) == (False, True, False)
    assert client.post(page(client, row), {"replay": "1"}).status_code == 403
    assert AuditEntry.objects.count() == 0


def test_what_is_no_json_is_hidden_whole(client):
    row = refuse(b"\xff ada@example.com")
    client.force_login(make.user("vera", permissions=(VIEW, REPLAY)))
    shown = text_of(client.get(page(client, row)))
    assert ("ada@" in shown, "Hidden" in shown) == (False, True)
    assert "Still refused" in text_of(client.post(page(client, row), {"message": '{"a": 1}', "replay": "1"}))


def test_of_nothing(clerk):
    assert clerk.get("/admin/events/quarantinedmessage/999999/change/").status_code == 404
    assert clerk.get("/admin/events/quarantinedmessage/abc/change/").status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_needs_the_same_queries_for_any_number(count, clerk, django_assert_num_queries):
    for number in range(count):
        refuse(b'{"type": "track", "event": "x", "n": %d}' % number)
    with django_assert_num_queries(6):
        assert clerk.get(reverse(LISTING)).context["cl"].result_count == count
