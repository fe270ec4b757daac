"""Callbacks to controllers, who take only what is signed and behave badly."""

import ipaddress

import pytest

from cdp.core.clock import HOUR, MINUTE, now_us
from cdp.privacy.models import ControllerNotice, PrivacyRequest
from cdp.privacy.opendsr.notices import TRIES, due_notices, is_any_due
from integrations import callbacks
from integrations.callbacks import send_callbacks
from tests import factories as make

pytestmark = pytest.mark.django_db
EMAIL = "ona@quixmail.example"


@pytest.fixture
def asked(controller):
    """The id of a request about Ona."""
    make.identifier(make.profile(), "email", EMAIL)
    return controller.asks("access", ("email", EMAIL))[1]["subject_request_id"]


def go_on(status):
    PrivacyRequest.objects.update(status=status)


def test_each_state_is_told_once_and_signed(controller, asked):
    said = []
    for status in ("pending", "pending", "running", "partial", "completed", "completed"):
        go_on(status)
        said.append(send_callbacks())
    assert said == [1, 0, 1, 0, 1, 0]
    row = PrivacyRequest.objects.get()
    assert [one.pop("request_status") for one in controller.told] == ["pending", "in_progress", "completed"]
    assert controller.told[0] == {
        "controller_id": row.created_by,
        "expected_completion_time": controller.call("GET", f"requests/{asked}")[1]["expected_completion_time"],
        "status_callback_url": controller.url,
        "subject_request_id": asked,
        "api_version": "3.0",
        "results_url": None,
    }
    assert (ControllerNotice.objects.get().settled, controller.refused) == (True, 0)


@pytest.mark.parametrize(("status", "state"), [("rejected", "cancelled"), ("cancelled", "cancelled")])
def test_the_end_is_told(controller, asked, status, state):
    go_on(status)
    send_callbacks()
    assert [one["request_status"] for one in controller.told] == [state]
    assert ControllerNotice.objects.get().settled


def test_what_failed_is_tried_again_later_and_later(controller, asked, time_machine):
    controller.fault = "500"
    waits = []
    for _ in range(4):
        before = now_us()
        time_machine.move_to(before / 1e6, tick=False)
        assert send_callbacks() == 0
        row = ControllerNotice.objects.get()
        waits.append((row.next_at - now_us()) // MINUTE)
        assert send_callbacks() == 0
        time_machine.move_to((row.next_at + 1000) / 1e6, tick=False)  # a float is not exact
    assert (waits, controller.refused, row.error) == ([1, 2, 4, 8], 4, "It answered 500.")
    controller.fault = ""
    assert send_callbacks() == 1
    row.refresh_from_db()
    assert (row.told, row.attempts, row.error) == ("pending", 0, "")


def test_it_is_left_alone_in_the_end(controller, asked):
    controller.fault = "500"
    for _ in range(TRIES):
        ControllerNotice.objects.update(next_at=0)
        send_callbacks()
    row = ControllerNotice.objects.get()
    assert (row.settled, row.attempts, row.next_at <= now_us() + 6 * HOUR) == (True, TRIES, True)
    assert not is_any_due(now_us() + 7 * HOUR)


def test_a_redirect_leads_nowhere(controller, asked):
    controller.fault = "redirect"
    assert send_callbacks() == 0
    assert ControllerNotice.objects.get().error == "It answered 302."


def test_a_slow_one_does_not_hold_us_up(controller, asked, monkeypatch):
    monkeypatch.setattr(callbacks, "SECONDS", 0.3)
    controller.fault = "slow"
    assert send_callbacks() == 0
    assert ControllerNotice.objects.get().error == "It did not answer in time."


@pytest.mark.parametrize("allowed", [(), (ipaddress.ip_network("10.0.0.0/8"),)])
def test_private_networks_are_out_of_reach(controller, asked, settings, allowed):
    settings.OUTBOUND_ALLOW = allowed
    assert send_callbacks() == 0
    assert (controller.told, controller.refused) == ([], 0)
    assert "private network" in ControllerNotice.objects.get().error


def test_of_two_workers_one_sends_it(controller, asked):
    first, second = due_notices(now_us()), due_notices(now_us())
    assert [len(list(notices)) for notices in (first, second)] == [1, 0]


def test_a_worker_that_was_first_meanwhile_is_not_repeated(controller, asked):
    late = due_notices(now_us())
    ControllerNotice.objects.update(attempts=1)
    assert list(late) != []  # it was read after that: it is claimed as it is now
    assert list(due_notices(now_us())) == []


def test_nothing_due_is_one_query(controller, asked, django_assert_num_queries):
    send_callbacks()
    with django_assert_num_queries(1):
        assert not is_any_due(now_us())


def test_an_erased_person_is_told_of_too(controller):
    make.identifier(make.profile(), "email", EMAIL)
    controller.asks("erasure", ("email", EMAIL))
    from cdp.privacy.carrying import continue_requests
    from cdp.privacy.opendsr.orders import start_waiting

    send_callbacks()
    start_waiting(now_us() + 2 * HOUR)
    continue_requests()
    send_callbacks()
    assert [one["request_status"] for one in controller.told] == ["pending", "completed"]
