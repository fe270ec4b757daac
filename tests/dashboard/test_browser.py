"""The console in a real browser: sign in, find a person, read their page, correct a quarantined message."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from cdp.access.source import SourceRef
from cdp.core.clock import now_us
from cdp.events.models import Event, QuarantinedMessage
from cdp.pipeline.accept import accept
from cdp.pipeline.process import process_inbox
from cdp.profiles.models import Profile
from tests import factories as make

CHROMIUM = "/usr/bin/chromium"
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not os.path.exists(CHROMIUM) and not os.environ.get("CI"), reason="Chromium is not installed"),
]
T = TypeVar("T")


def browse(url: str, steps: Callable[[Page], T], **context: Any) -> T:
    """What `steps` returns, given the page of a browser in which the administrator has signed in at `url`.

    In a thread of its own: Playwright leaves an event loop behind in its thread, where Django sees another connection.
    """

    def run() -> T:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            opened = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
            opened.set_default_timeout(20_000)
            page = opened.new_page()
            page.goto(url)
            page.fill("#id_username", "root")
            page.fill("#id_password", "secret")
            page.click("button[type=submit]")
            page.wait_for_url(f"{url}/admin/")
            result = steps(page)
            browser.close()
            return result

    make.user("root", administrator=True)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


@pytest.fixture
def ada() -> Profile:
    shop = make.source("shop")
    person = make.profile()
    make.identifier(person, "email", "ada@example.com")
    make.traits(person, of=shop, firstName="Ada", lastName="Byron")
    for number in range(30):
        make.event(person, f"Event {number:02}", ts=make.T0 + number, of=shop)
    return person


def test_from_the_sign_in_to_the_end_of_a_timeline(live_server, ada):
    make.identifier(make.profile(), "email", "bob@example.com")

    def steps(page: Page) -> None:
        page.locator("a[href='/admin/profiles/profile/']").first.click()
        page.get_by_placeholder("Any identifier").fill(" ADA@example.com")
        page.keyboard.press("Enter")
        page.wait_for_url("**/?q=*")
        expect(page.get_by_text("bob@example.com")).to_have_count(0)
        page.get_by_role("link", name="Ada Byron").click()
        expect(page.locator(".pf-person h2")).to_have_text("Ada Byron")
        expect(page.get_by_text("ada@example.com").first).to_be_visible()
        expect(page.locator(".pf-timeline > li:not(.pf-more)")).to_have_count(25)
        page.get_by_role("link", name="Load more").click()
        page.get_by_text("Event 00").wait_for()
        expect(page.locator(".pf-timeline > li:not(.pf-more)")).to_have_count(30)
        page.get_by_role("link", name="Why is Event 29").click()
        page.get_by_text("Why is it with this person?").wait_for()
        expect(page.get_by_text("the event was attached")).to_be_visible()

    browse(live_server.url, steps)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_pages_without_scrolling_sideways(scheme, live_server, ada):
    def steps(page: Page) -> tuple[list[int], bool]:
        widths = []
        for address in ("/admin/", f"/admin/profiles/profile/{ada.pk}/change/", "/admin/profiles/profile/"):
            page.goto(live_server.url + address)
            widths.append(page.evaluate("document.documentElement.scrollWidth"))
        return widths, page.evaluate("document.documentElement.classList.contains('dark')")

    found = browse(live_server.url, steps, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    assert found == ([390, 390, 390], scheme == "dark")


def test_a_message_is_corrected_and_replayed(live_server):
    source = SourceRef.of(make.source("shop"))
    accept([b'{"type": "track", "event": "Order Completed"}'], source=source, received=now_us())
    corrected = {"type": "track", "event": "Order Completed", "userId": "u-1"}

    def steps(page: Page) -> None:
        page.get_by_role("link", name="Quarantine", exact=False).last.click()
        page.locator("#changelist-form th a, #changelist-form td a").first.click()
        page.get_by_label("The message").fill("{")
        page.get_by_role("button", name="Replay").click()
        page.get_by_text("This is no JSON yet").wait_for()
        page.get_by_label("The message").fill(json.dumps(corrected))
        page.get_by_role("button", name="Replay").click()
        page.get_by_text("Replayed: 1.").wait_for()

    browse(live_server.url, steps)
    assert QuarantinedMessage.objects.get().status == "replayed"
    process_inbox()
    assert Event.objects.get().name == "Order Completed"
