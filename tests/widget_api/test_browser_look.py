"""In a real browser: keyboard, screen reader, light and dark, phone, colours, corners, Lithuanian."""

import pytest
from playwright.sync_api import Page, expect

from tests import factories as make
from tests.browsing import ShopSite, face, in_browser, needs_chromium, text
from tests.shops import Shop, new_shop

pytestmark = [pytest.mark.django_db(transaction=True), needs_chromium]
HOST = "#porta-futuri-widget"
PHONE = {"width": 360, "height": 640}


@pytest.fixture
def kiosk(site: ShopSite, transactional_db: None) -> Shop:
    """A key with open look-up, and one customer."""
    person = make.profile()
    make.identifier(person, "user_id", "CUST123")
    make.traits(person, country="LT", city="Vilnius", segment="A very long segment name " * 8)
    shop = new_shop(origins=[site.url])
    shop.change(open_lookup=True, allowed_fields=["country", "city", "segment"], open_limit=1000)
    return shop


def style(page: Page, selector: str, name: str) -> str:
    script = f"(element) => getComputedStyle(element).{name}"
    return str(page.locator(f"{HOST} {selector}").evaluate(script))


def test_with_the_keyboard_alone(site, kiosk, live_server):
    def focused(page: Page) -> str:
        return page.evaluate(
            "(() => { const found = document.activeElement.shadowRoot?.activeElement || document.activeElement;"
            " return found.getAttribute('aria-label') || found.id || found.className })()"
        )

    def steps(page: Page) -> None:
        site.put(live_server.url, kiosk.row.key)
        page.goto(site.url)
        page.get_by_role("button", name="Open your profile").wait_for()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert focused(page) == "Open your profile"
        outline = style(page, ".launcher", "outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        assert focused(page) == "Close"
        assert face(page) == "form"
        page.keyboard.press("Tab")
        if focused(page) == "body":  # a region that scrolls can be reached too
            page.keyboard.press("Tab")
        assert focused(page) == "id"
        page.keyboard.press("Enter")
        page.get_by_text("Type a customer ID first.").wait_for()
        assert focused(page) == "id"
        page.keyboard.type("CUST123")
        page.keyboard.press("Enter")
        page.get_by_text("Vilnius").wait_for()
        assert focused(page) == "body"  # what had the focus is gone; the answer is what is read next
        page.keyboard.press("Escape")
        assert focused(page) == "Open your profile"
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("Space")
        expect(page.get_by_text("Vilnius")).to_be_visible()

    in_browser(steps)


def test_what_a_screen_reader_is_told(site, kiosk, live_server):
    def steps(page: Page) -> str:
        site.put(live_server.url, kiosk.row.key)
        page.goto(site.url)
        launcher = page.get_by_role("button", name="Open your profile")
        expect(launcher).to_have_attribute("aria-expanded", "false")
        launcher.click()
        assert face(page) == "form"
        body = page.locator(f"{HOST} .body")
        expect(body).to_have_attribute("aria-live", "polite")
        expect(body).to_have_attribute("aria-busy", "false")
        return page.get_by_role("dialog", name="Your profile").aria_snapshot()

    assert in_browser(steps).splitlines() == [
        '- dialog "Your profile":',
        '  - heading "Your profile" [level=2]',
        '  - button "Close": ×',
        "  - paragraph: Which customer?",
        "  - text: Customer ID",
        '  - textbox "Customer ID"',
        "  - paragraph: For example CUST123",
        '  - button "Continue"',
        '  - checkbox "Count my page views, to make this shop better"',
        "  - text: Count my page views, to make this shop better",
    ]


@pytest.mark.parametrize(
    ("device", "asked", "back"),
    [
        ("light", {}, "rgb(255, 255, 255)"),
        ("dark", {}, "rgb(17, 24, 39)"),
        ("light", {"theme": "dark"}, "rgb(17, 24, 39)"),
        ("dark", {"theme": "light"}, "rgb(255, 255, 255)"),
    ],
)
def test_light_and_dark(device, asked, back, site, kiosk, live_server):
    def steps(page: Page) -> str:
        site.put(live_server.url, kiosk.row.key, open="true", **asked)
        page.goto(site.url)
        face(page)
        return style(page, ".panel", "backgroundColor")

    assert in_browser(steps, color_scheme=device) == back


def luminance(color: str) -> float:
    """WCAG 2.2, relative luminance of `rgb(r, g, b)`."""
    parts = [int(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    "color", ["", "#ffee00", "navy", "hsl(340 80% 60%)", "#777", "no colour", "red;} * {all:unset"]
)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_can_be_read_in_any_colour(color, theme, site, kiosk, live_server):
    def steps(page: Page) -> list[float]:
        site.put(live_server.url, kiosk.row.key, open="true", color=color, theme=theme)
        page.goto(site.url)
        page.get_by_label("Customer ID").fill("nobody")
        page.get_by_role("button", name="Continue").click()
        page.get_by_text("There is no customer").wait_for()
        back = style(page, ".panel", "backgroundColor")
        on_panel = [contrast(style(page, one, "color"), back) for one in (".hint", "label[for=id]", ".foot label")]
        own = (".note", ".act", ".head")
        on_own = [contrast(style(page, one, "color"), style(page, one, "backgroundColor")) for one in own]
        return [*on_panel, *on_own]

    assert min(in_browser(steps)) >= 4.5


@pytest.mark.parametrize("position", ["bottom-right", "bottom-left", "top-right", "top-left"])
def test_corners(position, site, kiosk, live_server):
    def steps(page: Page) -> dict[str, float]:
        site.put(live_server.url, kiosk.row.key, position=position)
        page.goto(site.url)
        return page.get_by_role("button", name="Open your profile").bounding_box() or {}

    box = in_browser(steps, viewport={"width": 1000, "height": 800})
    vertical, _, side = position.partition("-")
    assert (box["x"], box["y"]) == (16 if side == "left" else 928, 16 if vertical == "top" else 728)


def test_a_phone(site, kiosk, live_server):
    """Nothing sticks out, long values wrap, what is touched is large enough."""

    def steps(page: Page) -> tuple[int, dict[str, float], float]:
        site.put(live_server.url, kiosk.row.key, open="true", before="window.PortaFuturi = {customerId: 'CUST123'};")
        page.goto(site.url)
        assert face(page) == "profile"
        assert "Vilnius" in text(page)
        box = page.get_by_role("dialog").bounding_box() or {}
        smallest = min(
            min(one.bounding_box()["width"], one.bounding_box()["height"]) for one in page.get_by_role("button").all()
        )
        assert page.locator(f"{HOST} .body").evaluate("(body) => body.scrollWidth <= body.clientWidth")
        return page.evaluate("document.documentElement.scrollWidth"), box, smallest

    width, box, smallest = in_browser(steps, viewport=PHONE, has_touch=True, is_mobile=True)
    assert width == 360
    assert 0 <= box["x"] <= 360 - box["width"]
    assert 0 <= box["y"] <= 640 - box["height"]
    assert smallest >= 44


@pytest.mark.parametrize("said", ["attribute", "page"])
def test_lithuanian(said, site, kiosk, live_server):
    def steps(page: Page) -> str:
        site.put(live_server.url, kiosk.row.key, **({"lang": "lt"} if said == "attribute" else {}))
        if said == "page":
            site.html = site.html.replace('<html lang="en">', '<html lang="lt-LT">')
        page.goto(site.url)
        page.get_by_role("button", name="Atverti savo profilį").click()
        page.get_by_label("Kliento ID").fill("CUST123")
        page.get_by_role("button", name="Tęsti").click()
        assert page.locator(HOST).get_attribute("lang") == "lt"
        page.get_by_text("Vilnius").wait_for()
        return text(page)

    shown = in_browser(steps)
    assert ("Miestas" in shown, "Šalis" in shown, "Kitas klientas" in shown) == (True, True, True)


def test_the_pages_styles_do_not_reach_in(site, kiosk, live_server):
    def steps(page: Page) -> tuple[str, str]:
        site.put(live_server.url, kiosk.row.key, open="true")
        rule = "button { display: none !important } * { color: rgb(1, 2, 3) !important; font-size: 40px !important }"
        site.html = site.html.replace("</head>", f'<style nonce="n1">{rule}</style></head>')
        site.policy += "; style-src 'nonce-n1'"
        page.goto(site.url)
        expect(page.get_by_role("button", name="Continue")).to_be_visible()
        return style(page, "h2", "fontSize"), style(page, ".act", "color")

    assert in_browser(steps) == ("17px", "rgb(255, 255, 255)")


def test_one_widget_a_page(site, kiosk, live_server):
    def steps(page: Page) -> int:
        site.put(live_server.url, kiosk.row.key)
        tag = f'<script src="{live_server.url}/widget/v1/widget.js" data-key="{kiosk.row.key}"></script>'
        site.html = site.html.replace("</head>", f"{tag}</head>")  # in the head too, where there is no body yet
        page.goto(site.url)
        page.get_by_role("button", name="Open your profile").wait_for()
        return page.locator(HOST).count()

    assert in_browser(steps) == 1
