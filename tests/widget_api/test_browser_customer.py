"""In a real browser: whose profile it is. Five ways to the customer id, their order, tokens, and none of them."""

import pytest
from playwright.sync_api import Page, expect

from tests import factories as make
from tests.browsing import ShopSite, face, in_browser, needs_chromium, text
from tests.shops import Shop, new_shop

pytestmark = [pytest.mark.django_db(transaction=True), needs_chromium]
ID = "porta_futuri_customer_id"
COUNTRIES = {"C-variable": "LT", "C-address": "LV", "C-cookie": "EE", "C-session": "PL", "C-typed": "DE"}


@pytest.fixture
def kiosk(site: ShopSite, transactional_db: None) -> Shop:
    """A key with open look-up for the site, and five customers in our store."""
    for customer, country in COUNTRIES.items():
        person = make.profile()
        make.identifier(person, "user_id", customer)
        make.traits(person, of=make.source("crm"), country=country, firstName=f"Name of {customer}")
    columns = {"open_lookup": True, "allowed_fields": ["country", "first_name"], "open_limit": 1000}
    shop = new_shop(origins=[site.url])
    shop.change(**columns)
    return shop


def type_id(page: Page, customer: str) -> None:
    page.get_by_label("Customer ID").fill(customer)
    page.get_by_role("button", name="Continue").click()


def prepare(page: Page, url: str, *, cookie: str = "", session: str = "") -> None:
    page.goto(f"{url}/before")
    page.evaluate("(id) => id && sessionStorage.setItem('porta_futuri_customer_id', id)", session)
    if cookie:
        page.context.add_cookies([{"name": ID, "value": cookie, "url": url}])


@pytest.mark.parametrize("first", range(5))
def test_five_ways_in_their_order(first, site, kiosk, live_server):
    """With all ways from the `first` on given, the first is the one that counts."""
    variable, address, cookie, session, typed = [
        customer if number >= first else "" for number, customer in enumerate(COUNTRIES)
    ]
    before = f"window.PortaFuturi = {{customerId: '{variable}'}};" if variable else ""

    def steps(page: Page) -> str:
        prepare(page, site.url, cookie=cookie, session=session)
        site.put(live_server.url, kiosk.row.key, before=before)
        page.goto(f"{site.url}/?customer_id={address}" if address else site.url)
        page.get_by_role("button", name="Open your profile").click()
        if first == 4:
            assert face(page) == "form"
            type_id(page, typed)
            page.wait_for_selector("#porta-futuri-widget[data-face=profile]")
        assert face(page) == "profile"
        return text(page)

    shown = in_browser(steps)
    wanted = list(COUNTRIES)[first]
    assert (wanted in shown, COUNTRIES[wanted] in shown, "Name of" in shown) == (True, True, False)


def test_what_was_typed_is_kept_for_the_tab(site, kiosk, live_server):
    def steps(page: Page) -> None:
        site.put(live_server.url, kiosk.row.key, open="true")
        page.goto(site.url)
        assert face(page) == "form"
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_have_text("Type a customer ID first.")
        type_id(page, " nobody ")
        page.get_by_text("There is no customer with this ID.").wait_for()
        assert face(page) == "unknown"
        type_id(page, "C-typed")
        page.get_by_text("DE", exact=True).wait_for()
        assert page.evaluate(f"sessionStorage.getItem('{ID}')") == "C-typed"
        page.reload()
        page.get_by_text("DE", exact=True).wait_for()
        page.get_by_role("button", name="Another customer").click()
        assert face(page) == "form"
        assert page.evaluate(f"sessionStorage.getItem('{ID}')") is None

    in_browser(steps)


def test_a_cookie_with_other_letters(site, kiosk, live_server):
    person = make.profile()
    make.identifier(person, "user_id", "Žemė 7/%")
    make.traits(person, country="SE")

    def steps(page: Page) -> str:
        prepare(page, site.url, cookie="%C5%BDem%C4%97%207%2F%25")
        site.put(live_server.url, kiosk.row.key, open="true")
        page.goto(site.url)
        assert face(page) == "profile"
        return text(page)

    assert "SE" in in_browser(steps)


class TestTokens:
    @pytest.fixture
    def shop(self, kiosk: Shop) -> Shop:
        kiosk.change(open_lookup=False)
        return kiosk

    def test_shows_the_customers_own_profile(self, shop, site, live_server):
        def steps(page: Page) -> str:
            before = "window.PortaFuturi = {customerId: 'C-cookie'};"
            site.put(live_server.url, shop.row.key, token=token, before=before)
            page.goto(f"{site.url}/?customer_id=C-address")
            page.get_by_role("button", name="Open your profile").click()
            assert face(page) == "profile"
            expect(page.get_by_role("button", name="Another customer")).to_have_count(0)
            return text(page)

        token = shop.token("C-variable")
        shown = in_browser(steps)
        assert ("Name of C-variable" in shown, "LT" in shown) == (True, True)

    def test_without_one_nothing_is_asked_and_nothing_is_shown(self, shop, site, live_server):
        asked: list[str] = []

        def steps(page: Page) -> str:
            page.on("request", lambda request: asked.append(request.url))
            site.put(live_server.url, shop.row.key, before="window.PortaFuturi = {customerId: 'C-variable'};")
            page.goto(f"{site.url}/?customer_id=C-address")
            page.get_by_role("button", name="Open your profile").click()
            assert face(page) == "locked"
            return text(page)

        assert in_browser(steps) == "Sign in to the shop to see your profile here."
        assert [url for url in asked if "/profile?" in url] == []

    @pytest.mark.parametrize("given", ["forged", "of another key"])
    def test_a_wrong_one_shows_nothing(self, given, shop, site, live_server):
        other = new_shop("Other")
        token = {"forged": shop.token("C-variable")[:-3] + "abc", "of another key": other.token("C-variable")}[given]

        def steps(page: Page) -> str:
            site.put(live_server.url, shop.row.key, token=token, open="true")
            page.goto(site.url)
            assert face(page) == "error"
            return text(page)

        assert "The profile could not be loaded." in in_browser(steps)

    def test_an_expired_one_is_asked_for_again(self, shop, site, live_server):
        from cdp.core.clock import HOUR, now_us

        old, new = shop.token("C-variable", now=now_us() - 2 * HOUR), shop.token("C-variable")

        def steps(page: Page) -> list[str]:
            site.put(live_server.url, shop.row.key, token=old, open="true")
            page.goto(site.url)
            faces = [face(page)]
            before = f"const all = ['{old}', '{new}']; window.PortaFuturi = {{getToken: async () => all.shift()}};"
            site.put(live_server.url, shop.row.key, before=before, open="true")
            page.goto(site.url)
            return [*faces, face(page)]

        assert in_browser(steps) == ["expired", "profile"]


class TestStolenKey:
    """The key stands in the page: whoever takes it to a page of their own gets nothing."""

    def test_on_another_site(self, kiosk, live_server):
        kiosk.change(allowed_origins=["https://shop.example"])

        def steps(page: Page) -> str:
            with ShopSite() as thief:
                thief.put(live_server.url, kiosk.row.key, before="window.PortaFuturi = {customerId: 'C-variable'};")
                page.goto(thief.url)
                page.get_by_role("button", name="Open your profile").click()
                assert face(page) == "error"
                return text(page)

        assert "LT" not in in_browser(steps)

    def test_on_another_site_with_a_stolen_token(self, kiosk, live_server):
        kiosk.change(allowed_origins=["https://shop.example"])
        token = kiosk.token("C-variable")

        def steps(page: Page) -> str:
            with ShopSite() as thief:
                thief.put(live_server.url, kiosk.row.key, token=token, open="true")
                page.goto(thief.url)
                assert face(page) == "error"
                return text(page)

        assert "LT" not in in_browser(steps)

    def test_a_key_that_was_disabled(self, kiosk, site, live_server):
        kiosk.change(enabled=False)

        def steps(page: Page) -> str:
            site.put(live_server.url, kiosk.row.key, open="true")
            page.goto(site.url)
            return face(page)

        assert in_browser(steps) == "error"
