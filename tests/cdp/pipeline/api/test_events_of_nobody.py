"""An event that is stored of nobody: everybody who reads events copes with it, and the totals count it."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from cdp.consents.models import GateRule
from cdp.pipeline.process import process_inbox
from tests import factories
from tests.sending import message, send


@pytest.fixture
def redacted(api, alice, time_machine) -> str:
    """The id of a purchase that its buyer did not allow to be theirs; beside it alice's own."""
    GateRule.objects.create(purpose_id="PERSONALIZATION", names=["Secret Bought"], action="redact")
    send(message(userId="alice", event="Order Completed", properties={"revenue": 7, "currency": "EUR"}))
    secret = message(
        userId="bob", event="Secret Bought", context={"eventType": "PURCHASE"}, properties={"revenue": 5, "who": "Bob"}
    )
    [digest] = send(secret)
    return str(uuid.UUID(bytes=digest))


def test_it_is_listed_without_a_person(api, alice, redacted):
    status, page = api.get("events")
    assert status == 200
    shown = {one["id"]: one for one in page["data"]}[redacted]
    assert (shown["customerId"], shown["profileId"], shown["fragmentId"], shown["sessionId"]) == (
        None,
        None,
        None,
        None,
    )
    assert (shown["properties"], shown["context"], shown["messageId"]) == ({"revenue": 5}, {}, redacted)
    assert page["pagination"]["total"] == len(page["data"]) == 3
    assert redacted in {one["id"] for one in api.get("events?cursor=")[1]["data"]}
    assert api.get(f"events/{redacted}")[1] == shown
    assert redacted not in {one["id"] for one in api.get(f"events?customerId={alice}")[1]["data"]}


def test_why_says_which_purpose_was_not_allowed(api, redacted):
    status, told = api.get(f"events/{redacted}/why")
    assert (status, told["decision"], told["identifiers"]) == (200, "redacted", [])
    assert "PERSONALIZATION" in told["sentence"]


def test_the_console_shows_it(redacted, client: Client):
    client.force_login(factories.user("officer", administrator=True))
    page = client.get(reverse("admin:events_event_change", args=[redacted])).content.decode()
    assert "does not allow PERSONALIZATION" in page
    assert "The person</a>" not in page
    assert "nobody" in client.get(reverse("admin:events_event_changelist")).content.decode()


def test_totals_count_it_and_nobody_is_no_customer(api, redacted):
    process_inbox()
    period = "startDate=2026-04-30&endDate=2026-05-03"
    status, told = api.get(f"analytics/overview?{period}")
    assert status == 200, told
    assert (told["events"], told["purchases"], told["activePeople"], told["buyers"], told["people"]) == (3, 2, 1, 1, 1)
