"""Looking a customer up: what is asked, what is understood, and what happens when nothing is."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import OperationalError, connection

from cdp.core.clock import SECOND, now_us
from cdp.identities.lookup import find_person
from cdp.privacy.erase import erase_person
from integrations.afterwards import finish
from integrations.connection import forget_connection
from integrations.kept import forget_kept
from integrations.lookup import Answer, look_up
from integrations.models import Integration, RequestLog
from tests import factories as make
from tests.integrations.upstream import TOKEN, Upstream, connect, row, wait_for

pytestmark = pytest.mark.django_db

PROFILE = {
    "customer_id": "HH_9139599",
    "as_of": "2022-09-07",
    "current_phone": "iPhone",
    "subscriptions": {"netflix": True, "hbo": False, "amazon_prime": False, "mobile_count": 0, "home_count": 2},
    "mobile_revenue": 0.0,
    "attributes": {"version": 20221017135048008},
}


def known(customer: str, **traits: Any) -> None:
    """A person of our own store with this user id."""
    person = make.profile()
    make.identifier(person, "user_id", customer)
    make.traits(person, of=make.source("crm"), **traits)


def log() -> list[tuple[int, bool, bool, str]]:
    """(status, cached, called, error) of every look-up, oldest first."""
    finish()
    return list(RequestLog.objects.order_by("id").values_list("status", "cached", "called", "error"))


def test_nobody_is_asked_for_a_customer_who_was_erased(upstream: Upstream, integration: Integration) -> None:
    upstream.people["c-1"] = row("c-1")
    known("c-1")
    assert look_up("c-1").found
    finish()
    owner = find_person("user_id", "c-1")
    assert owner is not None
    erase_person(owner, request=None, actor="test")
    assert RequestLog.objects.count() == 0
    forget_connection()  # a process reads it again within a second
    assert (look_up("c-1").found, len(upstream.requests)) == (False, 1)
    with time_machine.travel(time.time() + 86_400):
        forget_connection()
        forget_kept()
        cache.clear()  # the clock of Redis does not travel
        assert (look_up("c-1").found, len(upstream.requests)) == (False, 1)


class TestTheRequest:
    def test_is_that_of_the_specification(self, upstream: Upstream, integration: Integration):
        upstream.people["HH_9139599"] = row("HH_9139599")
        answer = look_up("HH_9139599")
        [(path, query, headers)] = upstream.requests
        assert path == "/courier/api/v1/workspaces/workspace-7/resources/resource%2F8"
        assert query == {"userId": ["HH_9139599"], "page": ["0"], "size": ["1"]}
        assert (headers["Authorization"], headers["Accept"]) == (f"Bearer {TOKEN}", "application/json")
        assert "Cookie" not in headers
        assert answer == Answer(True, PROFILE, True, None, "exacaster", False, False, answer.fetched_at)
        assert abs(now_us() - answer.fetched_at) < 5 * SECOND

    @pytest.mark.parametrize("customer", ["", "   ", "x" * 201, "a\nb", "a\0b"])
    def test_is_not_made_for_what_can_be_nobodys_id(self, customer: str, upstream: Upstream, integration: Integration):
        assert look_up(customer).found is False
        assert upstream.requests == []

    @pytest.mark.parametrize("customer", ["a&userId=b", "../x?y#z", "Ąžuolas 1", "a+b%20c", "O'Neil"])
    def test_keeps_an_id_one_value_of_the_query(self, customer: str, upstream: Upstream, integration: Integration):
        upstream.people[customer] = row(customer)
        assert look_up(f" {customer} ").profile["customer_id"] == customer
        assert upstream.requests[0][1]["userId"] == [customer]


class TestTheAnswer:
    @pytest.mark.parametrize(
        "shape",
        [
            lambda rows: rows,
            lambda rows: {"data": rows},
            lambda rows: {"data": rows[0], "page": 0},
            lambda rows: rows[0],
        ],
        ids=["list", "data list", "data object", "object"],
    )
    def test_has_any_of_these_shapes(self, shape: Any, upstream: Upstream, integration: Integration):
        upstream.people["HH_9139599"] = row("HH_9139599")
        upstream.shape = shape
        assert look_up("HH_9139599").profile == PROFILE

    @pytest.mark.parametrize("empty", [[], {}, None, {"data": []}, {"data": None}, {"data": {}}, "404", "empty_body"])
    def test_can_be_that_there_is_nobody(self, empty: Any, upstream: Upstream, integration: Integration):
        if isinstance(empty, str):
            upstream.fault = empty
        upstream.shape = lambda rows: empty
        known("C1", plan="pro")
        answer = look_up("C1")
        assert answer == Answer(False, {}, True, None, "exacaster", False, False, answer.fetched_at)

    def test_types_of_unknown_columns(self, upstream: Upstream, integration: Integration):
        columns = {"has_pet": 0, "is_vip": 1, "score": 7, "share": 0.5, "note": "x", "since": "2020-01-31", "ok": True}
        upstream.people["C1"] = {"userId": "C1", "tags": ["a", 1], "none": None, **columns}
        attributes = look_up("C1").profile["attributes"]
        assert attributes == {**columns, "has_pet": False, "is_vip": True, "tags": ["a", 1]}
        assert [type(attributes[name]) for name in ("has_pet", "score", "share")] == [bool, int, float]

    def test_a_row_without_the_id_column(self, upstream: Upstream, integration: Integration):
        upstream.shape = lambda rows: [{"current_phone": "Pixel"}]
        assert look_up("C1").profile == {"current_phone": "Pixel"}


FAULTS = {
    "429": "rate_limited",
    "500": "upstream_error",
    "503": "upstream_error",
    "malformed": "bad_answer",
    "html": "bad_answer",
    "wrong_type": "bad_answer",
    "wrong_rows": "bad_answer",
    "other_customer": "bad_answer",
    "error_object": "bad_answer",
    "huge": "bad_answer",
    "deep": "bad_answer",
    "breaks_off": "bad_answer",
    "closes": "unreachable",
    "redirect": "upstream_error",
    "redirect_to_itself": "upstream_error",
    "slow": "timeout",
    "drip_body": "timeout",
    "drip_headers": "timeout",
    "401": "unauthorized",
    "403": "unauthorized",
}


class TestTheFallback:
    @pytest.mark.parametrize(("fault", "reason"), FAULTS.items())
    def test_comes_after_every_fault(
        self, fault: str, reason: str, upstream: Upstream, integration: Integration, settings: Any
    ):
        settings.CDP_REQUEST_TIMEOUT = 400
        known("C1", current_phone="Nokia", plan="pro", has_hbo=1)
        upstream.fault = fault
        start = time.monotonic()
        answer = look_up("C1")
        took = time.monotonic() - start
        profile = {
            "customer_id": "C1",
            "current_phone": "Nokia",
            "subscriptions": {"hbo": True},
            "attributes": {"plan": "pro"},
            "purchase_count": 0,
        }
        assert answer == Answer(True, profile, False, reason, "store", False, False, answer.fetched_at)
        assert took < 0.4 + 0.6  # the time-out and, on a busy machine, our own store
        assert len({path for path, _, _ in upstream.requests}) == 1  # nobody followed the redirect
        [(_, cached, called, error)] = log()
        assert (cached, called, error) == (False, True, reason)

    def test_when_nobody_listens(self, upstream: Upstream, integration: Integration):
        upstream.close()
        assert (look_up("C1").fallback_reason, look_up("C1").found) == ("unreachable", False)

    def test_when_nothing_is_connected(self, db: None):
        known("C1", plan="pro")
        answer = look_up("C1")
        assert (answer.found, answer.cdp_available, answer.fallback_reason) == (True, False, "not_configured")
        assert answer.profile["attributes"] == {"plan": "pro"}

    def test_when_it_is_incomplete(self, upstream: Upstream, db: None):
        connect(upstream, token="")
        assert look_up("C1").fallback_reason == "not_configured"

    def test_when_its_provider_is_gone(self, upstream: Upstream, integration: Integration):
        Integration.objects.update(provider="gone")
        forget_connection()
        assert look_up("C1").fallback_reason == "not_configured"

    def test_when_the_feature_is_off(self, upstream: Upstream, integration: Integration, settings: Any):
        settings.FEATURE_CDP_ENABLED = False
        assert (look_up("C1").fallback_reason, upstream.requests) == ("feature_off", [])

    def test_for_the_customers_outside_of_a_rollout(self, upstream: Upstream, integration: Integration):
        upstream.close()  # who is looked up there gets another reason

        def share(percent: int) -> set[str]:
            Integration.objects.update(rollout=percent)
            forget_connection()
            return {f"C{n}" for n in range(300) if look_up(f"C{n}").fallback_reason != "feature_off"}

        none, some, more, everybody = share(0), share(20), share(60), share(100)
        assert (len(none), len(everybody)) == (0, 300)
        assert 30 < len(some) < 90 < 140 < len(more) < 220
        assert some < more


def test_the_store_may_be_away_for_a_moment(
    upstream: Upstream, integration: Integration, monkeypatch: pytest.MonkeyPatch
):
    upstream.people["C1"] = row("C1")
    look_up("C1")

    def away() -> None:
        raise OperationalError

    monkeypatch.setattr("integrations.connection._read", away)
    monkeypatch.setattr("integrations.connection.KEEP_SECONDS", -1)
    monkeypatch.setattr("integrations.connection._known.until", 0)
    assert look_up("C1").cached
    forget_connection()
    with pytest.raises(OperationalError):
        look_up("C1")


class TestTheCache:
    def test_answers_for_five_minutes(self, upstream: Upstream, integration: Integration):
        upstream.people["C1"] = row("C1", current_phone="Pixel")
        first = look_up("C1")
        upstream.people["C1"] = row("C1", current_phone="iPhone")
        with time_machine.travel(time.time() + 299, tick=True):
            second = look_up("C1")
        assert (second.profile, second.cached, second.stale) == (first.profile, True, False)
        assert second.fetched_at == first.fetched_at
        assert len(upstream.requests) == 1
        assert log() == [(200, False, True, ""), (0, True, False, "")]

    def test_a_changed_answer_does_not_change_what_is_kept(self, upstream: Upstream, integration: Integration):
        upstream.people["C1"] = row("C1")
        look_up("C1").profile["subscriptions"].clear()
        assert look_up("C1").profile["subscriptions"]["netflix"] is True

    def test_gives_the_stale_answer_and_asks_behind_its_back(self, upstream: Upstream, integration: Integration):
        upstream.people["C1"] = row("C1", current_phone="Pixel")
        look_up("C1")
        upstream.people["C1"] = row("C1", current_phone="iPhone")
        with time_machine.travel(time.time() + 301, tick=True):
            stale = look_up("C1")
            assert (stale.profile["current_phone"], stale.stale, stale.cdp_available) == ("Pixel", True, True)
            finish()
            fresh = look_up("C1")
        assert (fresh.profile["current_phone"], fresh.stale, fresh.cached) == ("iPhone", False, True)
        assert len(upstream.requests) == 2
        assert log() == [(200, False, True, ""), (0, True, False, ""), (200, False, True, ""), (0, True, False, "")]

    def test_gives_the_last_answer_while_the_circuit_is_open(self, upstream: Upstream, integration: Integration):
        upstream.people["C1"] = row("C1")
        first = look_up("C1")
        with time_machine.travel(time.time() + 301, tick=True):
            Integration.objects.update(paused_until=now_us() + 9 * SECOND, paused_reason="circuit_open")
            forget_connection()
            last = look_up("C1")
        assert (last.profile, last.source, last.stale) == (first.profile, "exacaster", True)
        assert (last.cdp_available, last.fallback_reason) == (False, "circuit_open")

    def test_believes_for_a_minute_that_there_is_nobody(self, upstream: Upstream, integration: Integration):
        assert look_up("C1").found is False
        assert look_up("C1").cached is True
        assert len(upstream.requests) == 1

    def test_forgets_when_the_configuration_changes(self, upstream: Upstream, integration: Integration):
        upstream.people["C1"] = row("C1")
        look_up("C1")
        Integration.objects.update(mapping={"fields": {"phone_model": {"column": "current_phone"}}, "rest": "ignore"})
        forget_connection()
        assert look_up("C1").profile == {"phone_model": "iPhone"}

    def test_keeps_nothing_of_a_failure(self, upstream: Upstream, integration: Integration):
        upstream.people["C1"] = row("C1")
        upstream.fault = "malformed"
        assert look_up("C1").fallback_reason == "bad_answer"
        upstream.fault = ""
        wait_for(lambda: look_up("C1").source == "exacaster")


@pytest.mark.django_db(transaction=True)
class TestTogether:
    """Several threads at once."""

    def test_a_hundred_make_one_call(self, upstream: Upstream, integration: Integration):
        upstream.people["C1"] = row("C1")
        upstream.delay = 0.2
        answers = in_threads(100, "C1")
        assert len(upstream.requests) == 1
        assert {answer.profile["current_phone"] for answer in answers} == {"iPhone"}
        assert {(answer.source, answer.cdp_available) for answer in answers} == {("exacaster", True)}
        assert sum(not answer.cached for answer in answers) == 1

    def test_everybody_shares_a_failure(self, upstream: Upstream, integration: Integration):
        upstream.fault, upstream.delay = "500", 0.2
        answers = in_threads(20, "C1")
        assert len(upstream.requests) == 1
        assert {answer.fallback_reason for answer in answers} == {"upstream_error"}

    def test_different_customers_do_not_wait_for_each_other(self, upstream: Upstream, integration: Integration):
        upstream.delay = 0.3
        start = time.monotonic()
        with ThreadPoolExecutor(20) as threads:
            list(threads.map(closing(look_up), [f"C{n}" for n in range(20)]))
        assert len(upstream.requests) == 20
        assert time.monotonic() - start < 20 * 0.3 / 2

    def test_a_crowd_that_finds_a_stale_answer_asks_once(
        self, upstream: Upstream, integration: Integration, settings: Any, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("integrations.afterwards.IDLE_SECONDS", 0.01)  # and then it lets go of the store
        upstream.people["C1"] = row("C1")
        look_up("C1")
        settings.WORK_AFTERWARDS = True
        with time_machine.travel(time.time() + 301, tick=True):
            upstream.delay = 0.2
            answers = in_threads(50, "C1")
            assert True in {answer.stale for answer in answers}
            wait_for(lambda: not look_up("C1").stale)
        assert len(upstream.requests) == 2
        settings.WORK_AFTERWARDS = False
        wait_for(lambda: not [t for t in threading.enumerate() if t.name == "aside"])
        finish()


def closing(work: Any) -> Any:
    """`work`, after which the thread's connection to the store is closed."""

    def done(*args: Any) -> Any:
        try:
            return work(*args)
        finally:
            connection.close()

    return done


def in_threads(count: int, customer: str) -> list[Answer]:
    """What `count` threads are told that ask at the same time."""
    ready = threading.Barrier(count)

    def ask(_number: int) -> Answer:
        ready.wait(60)
        return look_up(customer)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(closing(ask), range(count)))
