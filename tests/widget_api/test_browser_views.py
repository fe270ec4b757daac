"""In a real browser and with the real door: page views of those who agreed, and nothing of the others."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from cdp.consents.models import ConsentRecord
from cdp.events.body import open_body
from cdp.events.models import Event
from cdp.identities.models import Identifier
from cdp.pipeline.process import process_inbox
from tests.browsing import ShopSite, in_browser, needs_chromium
from tests.live import WebServer
from tests.sending import inbox
from tests.serving import until
from tests.shops import Shop, new_shop

pytestmark = [pytest.mark.django_db(transaction=True), needs_chromium]
ADDRESS = "/shoes?customer_id=CUST123&utm_source=news&size=42#top"


@pytest.fixture
def shop(site: ShopSite, web: WebServer) -> Shop:
    return new_shop(origins=[site.url])


def arrived(count: int) -> list[dict[str, Any]]:
    """The `count` events that came, oldest first."""
    until(lambda: inbox().count() == count)
    process_inbox()
    rows = Event.objects.order_by("id").select_related("profile")
    return [
        {"call": row.get_call_display(), "person": row.profile.person_id, "body": open_body(row.body)} for row in rows
    ]


def sent_by(page: Page) -> list[str]:
    """The paths of the ingestion requests of a page, as they go out."""
    seen: list[str] = []

    def note(request: Request) -> None:
        if "/v1/page" in request.url or "/v1/identify" in request.url:
            seen.append(request.url.rpartition("/")[2])

    page.on("request", note)
    return seen


def stored(page: Page) -> dict[str, str]:
    return json.loads(page.evaluate("JSON.stringify({...localStorage})"))


def test_a_page_view_with_consent_and_anonymous_id(site, shop, web):
    def steps(page: Page) -> str:
        site.put(web.url, shop.row.key, consent="granted")
        with page.expect_response("**/v1/page") as answered:
            page.goto(site.url + ADDRESS)
        assert answered.value.status == 200  # the page does not read the body, so the browser may have dropped it
        return stored(page)["porta_futuri_anonymous_id"]

    anonymous = in_browser(steps)
    [view] = arrived(1)
    assert view["body"].properties == {
        "url": f"{site.url}/shoes?utm_source=news",
        "path": "/shoes",
        "search": "?utm_source=news",
        "referrer": "",
        "title": "Shop",
    }
    assert view["body"].context["consent"] == {"categoryPreferences": {"ANALYTICS_TRACKING": True}}
    assert view["body"].context["library"] == {"name": "porta-futuri-widget", "version": "1"}
    [identifier] = Identifier.objects.select_related("type")
    assert (identifier.type.code, len(anonymous)) == ("anonymous_id", 32)


@pytest.mark.parametrize("consent", ["", "denied"])
def test_without_consent_nothing_is_sent_or_kept(consent, site, shop, web):
    def steps(page: Page) -> tuple[list[str], dict[str, str], list[dict[str, Any]]]:
        seen = sent_by(page)
        site.put(web.url, shop.row.key, open="true", token=token, **({"consent": consent} if consent else {}))
        page.goto(site.url + ADDRESS)
        page.wait_for_selector("#porta-futuri-widget[data-face=unknown]")
        expect(page.get_by_role("checkbox")).to_have_count(0 if consent else 1)
        return seen, stored(page), page.context.cookies()

    token = shop.token("CUST123")
    assert in_browser(steps) == ([], {}, [])
    assert inbox().count() == 0


def test_the_choice_is_the_visitors(site, shop, web):
    def steps(page: Page) -> None:
        seen = sent_by(page)
        site.put(web.url, shop.row.key, open="true")
        page.goto(site.url)
        box = page.get_by_role("checkbox")
        expect(box).not_to_be_checked()
        with page.expect_response("**/v1/page"):
            box.check()
        with page.expect_response("**/v1/page"):
            page.reload()
        expect(page.get_by_role("checkbox")).to_be_checked()
        assert seen == ["page", "page"]
        with page.expect_response("**/v1/identify"):
            page.get_by_role("checkbox").uncheck()
        assert stored(page) == {"porta_futuri_consent": "denied"}
        page.reload()
        expect(page.get_by_role("checkbox")).not_to_be_checked()
        assert seen == ["page", "page", "identify"]

    in_browser(steps)
    *views, withdrawal = arrived(3)
    assert (withdrawal["call"], withdrawal["body"].properties) == ("identify", {})
    said = ConsentRecord.objects.order_by("id").values_list("profile_id", "type", "granted", "cause")
    assert list(said) == [
        (withdrawal["person"], "ANALYTICS_TRACKING", True, "preferences"),
        (withdrawal["person"], "ANALYTICS_TRACKING", False, "preferences"),
    ]
    assert len({view["person"] for view in views}) == 1


def test_a_signed_visitor_is_identified_once_a_session(site, shop, web):
    def steps(page: Page) -> list[str]:
        seen = sent_by(page)
        site.put(web.url, shop.row.key, token=token, consent="granted")
        with page.expect_response("**/v1/identify"):
            page.goto(site.url)
        with page.expect_response("**/v1/page"):
            page.reload()
        return seen

    token = shop.token("Jonas Žemaitis")
    assert sorted(in_browser(steps)) == ["identify", "page", "page"]
    events = arrived(3)
    assert len({event["person"] for event in events}) == 1
    kinds = {row.type.code: row.trusted for row in Identifier.objects.select_related("type")}
    assert kinds == {"user_id": True, "anonymous_id": False}
    assert all("identityToken" not in event["body"].context for event in events)


def test_the_anonymous_id_of_segments_sdk_is_shared(site, shop, web):
    def steps(page: Page) -> dict[str, str]:
        site.put(web.url, shop.row.key, consent="granted", before="localStorage.ajs_anonymous_id = '\"a-1\"';")
        with page.expect_request("**/v1/page") as sent:
            page.goto(site.url)
        assert json.loads(sent.value.post_data or "")["anonymousId"] == "a-1"
        return stored(page)

    assert in_browser(steps) == {"ajs_anonymous_id": '"a-1"'}


def test_another_site_cannot_send_with_the_key(site, shop, web):
    shop.change(allowed_origins=["https://shop.example"])

    def steps(page: Page) -> list[str]:
        seen = sent_by(page)
        site.put(web.url, shop.row.key, consent="granted", open="true")
        page.goto(site.url)
        page.wait_for_selector("#porta-futuri-widget[data-face=error]")
        return seen

    assert in_browser(steps) == []
    assert inbox().count() == 0
