"""In a real browser, with a simulated Exacaster behind: every state has a face."""

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import factories as make
from tests.browsing import ShopSite, face, in_browser, needs_chromium, text
from tests.integrations.upstream import Upstream, connect, row
from tests.shops import Shop, new_shop

pytestmark = [pytest.mark.django_db(transaction=True), needs_chromium]
FIELDS = ["current_phone", "subscriptions.netflix", "subscriptions.hbo", "subscriptions.home_count", "first_name"]
STORED = "Live data cannot be reached right now. This is what was stored last."


@pytest.fixture
def upstream(settings: Any, transactional_db: None) -> Iterator[Upstream]:
    """Exacaster, connected, with one customer."""
    settings.OUTBOUND_ALLOW = (ipaddress.ip_network("127.0.0.0/8"),)
    with Upstream() as server:
        server.people["C1"] = row("C1", current_phone="Nokia 3310", has_netflix=1, home_subscriptions_count_daily=2)
        connect(server)
        yield server


@pytest.fixture
def shop(site: ShopSite, upstream: Upstream) -> Shop:
    """A key without open look-up; our own store knows the customer too, with another phone."""
    person = make.profile()
    make.identifier(person, "user_id", "C1")
    make.traits(person, of=make.source("crm"), current_phone="Siemens C25", firstName="Ada")
    return new_shop(origins=[site.url], fields=FIELDS)


def shown(site: ShopSite, shop: Shop, url: str, customer: str = "C1") -> tuple[str | None, str]:
    """The face and the text for a visitor with a token."""
    token = shop.token(customer)

    def steps(page: Page) -> tuple[str | None, str]:
        site.put(url, shop.row.key, token=token, open="true")
        page.goto(site.url)
        return face(page), text(page)

    return in_browser(steps)


def test_a_live_profile(site, shop, upstream, live_server):
    assert shown(site, shop, live_server.url) == (
        "profile",
        "Customer ID: C1\n\nCurrent phone\nNokia 3310\nSubscriptions\nNetflix\nYes\nHBO\nNo\nHome\n2",
    )


@pytest.mark.parametrize("fault", ["slow", "401", "403", "429", "500", "malformed", "closes", "drip_body", "redirect"])
def test_when_the_upstream_fails_what_is_stored_is_shown(fault, site, shop, upstream, live_server):
    upstream.fault = fault
    seen, said = shown(site, shop, live_server.url)
    assert (seen, STORED in said, "Siemens C25" in said, "Ada" in said) == ("fallback", True, True, True)
    assert len(upstream.requests) >= 1


def test_when_the_upstream_is_down(site, shop, upstream, live_server):
    upstream.close()
    seen, said = shown(site, shop, live_server.url)
    assert (seen, "Siemens C25" in said) == ("fallback", True)


def test_when_nothing_is_stored_either(site, shop, upstream, live_server):
    upstream.fault = "500"
    assert shown(site, shop, live_server.url, "C2") == (
        "unavailable",
        "The profile cannot be reached right now.\n\nTry again",
    )


def test_a_customer_whom_nobody_knows(site, shop, upstream, live_server):
    assert shown(site, shop, live_server.url, "C2") == ("unknown", "There is nothing about you here yet.")


def test_a_profile_without_an_allowed_field(site, shop, upstream, live_server):
    shop.change(allowed_fields=["city"])
    assert shown(site, shop, live_server.url) == (
        "profile",
        "Customer ID: C1\n\nThere is nothing to show in this profile.",
    )


def test_loading_error_and_another_try(site, shop, upstream, live_server):
    """While the answer is awaited, when it does not come, and when it does."""
    token = shop.token("C1")

    def steps(page: Page) -> None:
        calls = []

        def answer(route: Any) -> None:
            calls.append(route)
            if len(calls) > 1:
                route.continue_()

        page.route("**/api/widget/v1/profile*", answer)
        site.put(live_server.url, shop.row.key, token=token, open="true")
        with page.expect_request("**/api/widget/v1/profile*"):
            page.goto(site.url)
        page.get_by_text("Loading your profile").wait_for()
        expect(page.locator("#porta-futuri-widget")).to_have_attribute("data-face", "loading")
        expect(page.locator("#porta-futuri-widget .body")).to_have_attribute("aria-busy", "true")
        calls[0].abort()
        assert face(page) == "error"
        assert "The profile could not be loaded." in text(page)
        page.get_by_role("button", name="Try again").click()
        page.get_by_text("Nokia 3310").wait_for()

    in_browser(steps)


def test_over_the_limit(site, shop, upstream, live_server):
    shop.change(visitor_limit=1)
    token = shop.token("C1")

    def steps(page: Page) -> tuple[str | None, str]:
        site.put(live_server.url, shop.row.key, token=token, open="true")
        page.goto(site.url)
        page.reload()
        return face(page), text(page)

    assert in_browser(steps) == ("error", "Too many requests. Try again in a minute.\n\nTry again")


def test_the_browser_keeps_the_answer(site, shop, upstream, live_server):
    """The second view of a page costs a 304 without a body, and the upstream is asked once."""
    token = shop.token("C1")

    def steps(page: Page) -> list[int]:
        transferred = []
        site.put(live_server.url, shop.row.key, token=token, open="true")
        for _ in range(2):
            with page.expect_response("**/api/widget/v1/profile*") as answered:
                page.goto(site.url)
            assert face(page) == "profile"
            transferred.append(answered.value.request.sizes()["responseBodySize"])
        return transferred

    first, second = in_browser(steps)
    assert (first > 0, second) == (True, 0)
    assert len(upstream.requests) == 1
