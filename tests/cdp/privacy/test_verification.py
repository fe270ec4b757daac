"""Who may verify a request, and how: the link, its page, the shop's token, an officer."""

import re

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from playwright.sync_api import expect

from cdp.access.models import AuditEntry
from cdp.core.clock import HOUR, now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.privacy.links import address_of, token_of
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.request_mail import send_waiting
from cdp.privacy.requests import open_request, reject_request, verify_request
from cdp.privacy.verification import MAX_TRIES, confirm, request_of_token, send_link
from tests import factories as make
from tests.browsing import in_browser, needs_chromium
from tests.calling import Api
from tests.shops import new_shop

pytestmark = pytest.mark.django_db

EMAIL = "ada@example.com"


@pytest.fixture
def ada():
    person = make.profile()
    make.identifier(person, "user_id", "user123")
    make.identifier(person, "email", EMAIL)
    return person


def asked(kind="access", **identifiers):
    return open_request(
        kind, identifiers or {"user_id": "user123"}, regulation="gdpr", channel="api", actor="key:1",
    )  # fmt: skip


def fresh(request):
    request.refresh_from_db()
    return request


def test_the_link_is_mailed_to_the_address_that_we_hold_and_to_no_other(ada):
    asked(user_id="user123", email="somebody@else.example")
    assert send_waiting() == 1
    assert send_waiting() == 0
    [message] = mail.outbox
    assert message.to == [EMAIL]
    assert "somebody@else.example" not in message.body


def test_an_address_that_a_browser_made_up_gets_no_link():
    person = make.profile()
    make.identifier(person, "user_id", "user123")
    make.identifier(person, "email", "thief@example.com", trusted=False)
    assert address_of(person) == ""
    request = asked()
    assert (request.link, request.mail, send_waiting()) == (None, "", 0)
    with pytest.raises(Conflict, match="holds no e-mail address"):
        send_link(request, actor="user:1")


def test_nobody_learns_from_the_answer_whether_anybody_is_known(ada):
    api = Api("admin")
    known = api.post("privacy/requests", {"type": "access", "userId": "user123"})
    unknown = api.post("privacy/requests", {"type": "access", "userId": "nobody"})
    differing = {"id", "createdAt", "dueAt"}
    assert [(status, {k: v for k, v in body.items() if k not in differing}) for status, body in (known, unknown)] == [
        (201, {
            "type": "access", "regulation": "gdpr", "status": "unverified", "duplicate": False,
            "message": "It waits for verification: by the link that was sent to the person's own address if we hold"
                       " one, or by an officer.",
        })
    ] * 2  # fmt: skip


def page_address():
    send_waiting()
    return re.search(r"http://\S+(/privacy/verify/\S+)", mail.outbox[-1].body)[1]


def test_the_page_confirms_by_its_button_alone(ada):
    request = asked(kind="deletion")
    address = page_address()
    for _ in range(3):
        page = Client().get(address)
        assert (page.status_code, fresh(request).status) == (200, "unverified")
    assert "the data about you is deleted" in page.content.decode()
    assert page.headers["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    answer = Client(enforce_csrf_checks=True).post(address, {"confirm": "1"})
    assert (answer.status_code, "confirmed" in answer.content.decode()) == (200, True)
    request = fresh(request)
    assert (request.status, request.verified_by, request.link) == ("pending", "link", None)
    assert [Client().get(address).status_code, Client().post(address, {"confirm": "1"}).status_code] == [404, 404]
    entry = AuditEntry.objects.get(action="verify")
    assert (entry.actor, entry.object_ids) == ("link", [str(request.public_id)])


def test_whoever_did_not_ask_says_so(ada):
    request = asked()
    assert Client().post(page_address(), {"disown": "1"}).status_code == 200
    assert fresh(request).status == "cancelled"


def test_a_link_runs_out(ada, time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    request = asked()
    token = token_of(request)
    time_machine.shift(settings.PRIVACY_LINK_HOURS * HOUR / 1_000_000 - 1)
    assert request_of_token(token).pk == request.pk
    time_machine.shift(1)
    with pytest.raises(NotFound):
        confirm(token)
    assert fresh(request).status == "unverified"


def test_a_new_link_voids_the_one_before(ada):
    request = asked()
    old = token_of(request)
    new = token_of(send_link(request, actor="user:1"))
    with pytest.raises(NotFound):
        confirm(old)
    assert confirm(new).status == "pending"


@pytest.mark.parametrize("changed", ["", "x", "A" * 64, "é", "A" * 500, "=" * 64])
def test_what_is_no_token_is_a_404(ada, changed):
    asked()
    assert Client().get(f"/privacy/verify/{changed or 'none'}").status_code == 404


def test_too_many_wrong_tries_lock_the_link(ada):
    request = asked()
    right = token_of(request)
    wrong = right[:-2] + ("AA" if right[-2:] != "AA" else "BB")
    for _ in range(MAX_TRIES - 1):
        with pytest.raises(NotFound):
            confirm(wrong)
    assert request_of_token(right).pk == request.pk
    with pytest.raises(NotFound):
        confirm(wrong)
    with pytest.raises(NotFound):
        confirm(right)
    assert AuditEntry.objects.filter(action="lock link").count() == 1
    assert confirm(token_of(send_link(request, actor="user:1"))).status == "pending"


def test_a_request_that_ended_has_no_link(ada):
    request = asked()
    token = token_of(request)
    reject_request(request, actor="user:1", reason="Twice")
    with pytest.raises(NotFound):
        confirm(token)
    assert send_waiting() == 0


def test_links_are_tried_a_few_times_a_minute(ada, time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    codes = [Client().get(f"/privacy/verify/{'A' * 63}{n % 10}").status_code for n in range(31)]
    assert codes == [404] * 30 + [429]


def test_an_officer_says_how_they_know(ada):
    request = asked()
    with pytest.raises(Invalid, match="`how` must be one of"):
        verify_request(request, by="user:1", how="hunch")
    assert verify_request(request, by="user:1", how="call").verified_by == "user:1"
    with pytest.raises(Conflict, match="waits for an officer"):
        verify_request(request, by="user:1", how="call")


def test_the_token_of_the_shop_verifies_at_once(ada):
    shop = new_shop()
    api = Api("admin")
    mallory = make.profile()
    make.identifier(mallory, "user_id", "mallory")
    body = {"type": "deletion", "userId": "user123"}
    for token in (shop.token("mallory"), shop.token("nobody"), "v1.x.y.z", shop.token("user123")[:-2] + "AA"):
        status, refused = api.post("privacy/requests", {**body, "verificationToken": token})
        assert (status, refused["code"]) == (400, "bad_verification_token")
    assert PrivacyRequest.objects.count() == 0
    status, made = api.post("privacy/requests", {**body, "verificationToken": shop.token("user123")})
    assert (status, made["status"]) == (201, "pending")
    assert PrivacyRequest.objects.get().verified_by == "token"
    expired = shop.token("user123", now=now_us() - 2 * HOUR)
    status, refused = api.post(
        "privacy/requests", {"type": "access", "userId": "user123", "verificationToken": expired}
    )
    assert (status, refused["code"]) == (400, "bad_verification_token")


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_in_a_browser_by_the_keyboard_alone(web):
    person = make.profile()
    make.identifier(person, "email", EMAIL)
    request = asked(kind="deletion", email=EMAIL)
    token = token_of(request)

    def steps(page):
        page.goto(f"{web.url}/privacy/verify/{token}")
        expect(page.get_by_role("heading")).to_have_text("Was this you?")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Yes, that was me")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading")).to_have_text("Thank you, it is confirmed")
        page.goto(f"{web.url}/privacy/verify/{token}")
        expect(page.get_by_role("heading")).to_have_text("This link does not work")

    in_browser(steps, viewport={"width": 360, "height": 740})
    assert fresh(request).status == "pending"
