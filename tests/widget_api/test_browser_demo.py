"""The demo page in a real browser: each way, each example, and a token for those who may."""

from typing import Any

import pytest
from playwright.sync_api import Page

from cdp.access.models import AuditEntry
from tests import factories as make
from tests.browsing import face, in_browser, needs_chromium, text
from tests.shops import Shop, new_shop

pytestmark = [pytest.mark.django_db(transaction=True), needs_chromium]


@pytest.fixture
def kiosk(live_server: Any, transactional_db: None) -> Shop:
    """A key with open look-up for the demo page, and one customer."""
    person = make.profile()
    make.identifier(person, "user_id", "CUST123")
    make.traits(person, of=make.source("crm"), country="LT", firstName="Ada")
    shop = new_shop(origins=[live_server.url], fields=["country", "first_name"])
    shop.change(open_lookup=True, open_limit=1000)
    return shop


@pytest.mark.parametrize("way", ["variable", "address", "cookie", "session"])
def test_each_way(way, kiosk, live_server):
    def steps(page: Page) -> str:
        page.goto(f"{live_server.url}/widget/demo?key={kiosk.row.key}")
        page.locator("select[name=way]").select_option(way)
        page.locator("input[name=id]").fill("CUST123")
        page.get_by_role("button", name="Show it").click()
        page.get_by_role("button", name="Open your profile").click()
        assert face(page) == "profile"
        return text(page)

    assert "Country\nLT" in in_browser(steps)


def test_each_example(kiosk, live_server):
    def steps(page: Page) -> list[tuple[str, str | None]]:
        found = []
        for example in ("profile", "fallback", "stale", "unavailable", "unknown", "error", "loading"):
            page.goto(f"{live_server.url}/widget/demo?key={kiosk.row.key}")
            page.locator("select[name=face]").select_option(example)
            page.get_by_role("button", name="Show it").click()
            page.wait_for_selector("#porta-futuri-widget[data-face]")
            last = (
                page.locator("#porta-futuri-widget").get_attribute("data-face") if example == "loading" else face(page)
            )
            found.append((example, last))
        return found

    assert in_browser(steps) == [
        ("profile", "profile"),
        ("fallback", "fallback"),
        ("stale", "profile"),
        ("unavailable", "unavailable"),
        ("unknown", "unknown"),
        ("error", "error"),
        ("loading", "loading"),
    ]


def test_a_token_for_who_may_see_personal_data(kiosk, live_server):
    def steps(page: Page) -> tuple[str, str]:
        page.goto(f"{live_server.url}/admin/login/?next=/widget/demo")
        page.fill("#id_username", "root")
        page.fill("#id_password", "secret")
        page.click("button[type=submit]")
        page.wait_for_url("**/widget/demo")
        page.get_by_label("Customer ID").fill("CUST123")
        page.locator("select[name=lang]").select_option("lt")
        page.get_by_role("button", name="Show it with a signed token").click()
        page.get_by_role("button", name="Atverti savo profilį").click()
        assert face(page) == "profile"
        return text(page), page.url

    make.user("root", administrator=True)
    said, url = in_browser(steps)
    assert "Vardas\nAda" in said
    assert "v1." not in url
    assert AuditEntry.objects.get().action == "widget demo"


def test_a_phone_does_not_scroll_sideways(kiosk, live_server):
    def steps(page: Page) -> int:
        page.goto(f"{live_server.url}/widget/demo?key={kiosk.row.key}")
        return page.evaluate("document.documentElement.scrollWidth")

    assert in_browser(steps, viewport={"width": 360, "height": 640}) == 360
