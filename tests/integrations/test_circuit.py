"""A provider that fails is left alone for a while, and tried again by one."""

import time
from typing import Any

import pytest
import time_machine

from cdp.core.clock import SECOND, now_us
from integrations.afterwards import finish
from integrations.circuit import FAILURES, PAUSE, forget_failures
from integrations.connection import forget_connection
from integrations.lookup import look_up
from integrations.models import Integration, RequestLog
from tests.integrations.upstream import Upstream, row

pytestmark = pytest.mark.django_db


def fail(upstream: Upstream, times: int, *, fault: str = "500", start: int = 0) -> list[str | None]:
    upstream.fault = fault
    return [look_up(f"fails-{start + n}").fallback_reason for n in range(times)]


def other_process() -> None:
    """What another process knows: only what is in the row."""
    finish()
    forget_connection()
    forget_failures()


def test_opens_after_five_failures_in_a_row(upstream: Upstream, integration: Integration):
    assert fail(upstream, FAILURES) == ["upstream_error"] * FAILURES
    assert fail(upstream, 3, start=50) == ["circuit_open"] * 3
    assert len(upstream.requests) == FAILURES
    other_process()
    assert look_up("other").fallback_reason == "circuit_open"
    assert len(upstream.requests) == FAILURES
    integration.refresh_from_db()
    assert abs(integration.paused_until - now_us() - PAUSE) < 20 * SECOND
    assert integration.last_error == "It answered with an error (HTTP 500)."
    finish()
    assert RequestLog.objects.filter(called=False, error="circuit_open").count() == 4


def test_a_success_between_starts_the_count_again(upstream: Upstream, integration: Integration):
    fail(upstream, FAILURES - 1)
    upstream.fault = ""
    assert look_up("fine").fallback_reason is None
    assert fail(upstream, FAILURES - 1, start=20) == ["upstream_error"] * (FAILURES - 1)
    upstream.fault = ""
    assert look_up("fine-too").fallback_reason is None


@pytest.mark.parametrize("fault", ["malformed", "404", "other_customer"])
def test_what_says_nothing_about_its_health_does_not_count(fault: str, upstream: Upstream, integration: Integration):
    fail(upstream, 2 * FAILURES, fault=fault)
    assert len(upstream.requests) == 2 * FAILURES


def test_after_the_pause_one_tries_and_its_success_closes(upstream: Upstream, integration: Integration):
    fail(upstream, FAILURES)
    other_process()
    upstream.fault = ""
    upstream.people["C1"] = row("C1")
    with time_machine.travel(time.time() + 31, tick=True):
        assert look_up("C1").fallback_reason is None
        other_process()
        assert Integration.objects.get().paused_until == 0
        assert look_up("C2").fallback_reason is None


def test_after_the_pause_a_failure_opens_it_again_at_once(upstream: Upstream, integration: Integration):
    fail(upstream, FAILURES)
    other_process()
    with time_machine.travel(time.time() + 31, tick=True):
        assert fail(upstream, 2, start=80) == ["upstream_error", "circuit_open"]
    assert len(upstream.requests) == FAILURES + 1


@pytest.mark.django_db(transaction=True)
def test_while_one_tries_the_others_fall_back(upstream: Upstream, integration: Integration):
    from concurrent.futures import ThreadPoolExecutor

    from tests.integrations.test_lookup import closing

    fail(upstream, FAILURES)
    other_process()
    upstream.fault, upstream.delay = "", 0.3
    with time_machine.travel(time.time() + 31, tick=True), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(closing(look_up), [f"C{n}" for n in range(8)]))
    reasons = sorted(str(answer.fallback_reason) for answer in answers)
    assert reasons == ["None", *["circuit_open"] * 7]


def test_a_429_pauses_for_as_long_as_it_asks(upstream: Upstream, integration: Integration):
    assert fail(upstream, 2, fault="429") == ["rate_limited", "rate_limited"]
    assert len(upstream.requests) == 1
    finish()
    integration.refresh_from_db()
    assert abs(integration.paused_until - now_us() - 7 * SECOND) < 5 * SECOND
    upstream.fault = ""
    with time_machine.travel(time.time() + 8, tick=True):
        forget_connection()
        assert look_up("C1").fallback_reason is None


def test_a_test_of_the_connection_that_works_closes_it(upstream: Upstream, integration: Integration):
    from integrations.trial import try_connection

    fail(upstream, FAILURES)
    finish()
    upstream.fault = ""
    integration.refresh_from_db()
    assert try_connection(integration).success
    forget_failures()
    assert look_up("C1").fallback_reason is None


def test_the_console_says_so(upstream: Upstream, integration: Integration, admin_client: Any):
    fail(upstream, FAILURES)
    finish()
    page = admin_client.get("/admin/").content.decode()
    assert "Exacaster is left alone for a moment" in page
    assert "left alone until" in admin_client.get("/admin/integrations/integration/").content.decode()
