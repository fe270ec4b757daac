"""The widget API as pages call it: keys, origins, CORS, limits, ETags; and who is shown what."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client

from tests import factories as make
from tests.shops import ORIGIN, Shop, new_shop
from widget_api import api
from widget_api.api import STEP_SECONDS

pytestmark = pytest.mark.django_db
FIELDS = ["first_name", "country", "attributes"]


@pytest.fixture
def ada(db):
    """A customer of our own store: no integration is connected."""
    person = make.profile()
    make.identifier(person, "user_id", "CUST123")
    make.traits(person, of=make.source("crm"), firstName="Ada", country="LT", plan="pro")
    return person


def get(shop: Shop, what: str = "profile", **headers: str):
    sent = {"Origin": ORIGIN, **{name.replace("_", "-"): value for name, value in headers.items()}}
    sent = {name: value for name, value in sent.items() if value}
    return Client().get(f"/api/widget/v1/{what}?key={shop.row.key}", headers=sent)


def bearer(token: str) -> str:
    return f"Bearer {token}"


class TestKeysAndOrigins:
    @pytest.mark.parametrize(
        ("origin", "status"),
        [
            ("https://shop.example", 200),
            ("https://SHOP.example", 200),
            ("https://www.shop.example", 200),
            ("https://a.b.shop.example", 200),
            ("http://localhost:8000", 200),  # PUBLIC_URL: our own demo page
            ("http://shop.example", 403),
            ("https://shop.example:8443", 403),
            ("https://shop.example.evil.example", 403),
            ("https://evilshop.example", 403),
            ("https://evil.example", 403),
            ("null", 403),
            ("", 403),
        ],
    )
    def test_only_pages_of_the_keys_origins_are_answered(self, origin, status, shop):
        for what in ("config", "profile"):
            answer = get(shop, what, Origin=origin)
            assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (
                status,
                origin if status == 200 else None,
            )
            assert answer.json().get("code") == (None if status == 200 else "origin_not_allowed")
            assert "Origin" in answer.headers["Vary"]

    def test_a_browser_leaves_the_origin_out_on_our_own_pages(self, shop):
        own = {"Origin": "", "Host": "localhost:8000"}
        assert get(shop, **own, Sec_Fetch_Site="same-origin").status_code == 200
        assert get(shop, **own, Sec_Fetch_Site="cross-site").status_code == 403
        assert get(shop, Origin="", Host="evil.example", Sec_Fetch_Site="same-origin").status_code == 403

    def test_the_preflight_is_answered_by_key(self, shop):
        def ask(origin: str, key: str):
            address = f"/api/widget/v1/profile?key={key}"
            return Client().options(address, headers={"Origin": origin, "Access-Control-Request-Method": "GET"})

        good = ask(ORIGIN, shop.row.key)
        assert (good.status_code, good.content) == (204, b"")
        assert good.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert good.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, X-Customer-Id"
        assert "Access-Control-Allow-Credentials" not in good.headers
        for answer in (ask("https://evil.example", shop.row.key), ask(ORIGIN, "pk_guessed")):
            assert answer.status_code in {401, 403}
            assert "Access-Control-Allow-Origin" not in answer.headers

    def test_an_unknown_or_disabled_key(self, shop):
        shop.change(enabled=False)
        answer = get(shop)
        assert (answer.status_code, answer.json()["code"]) == (401, "unknown_key")
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert Client().get("/api/widget/v1/profile").status_code == 401

    def test_another_method(self, shop):
        answer = Client().put(f"/api/widget/v1/profile?key={shop.row.key}", headers={"Origin": ORIGIN})
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")

    def test_cookies_mean_nothing(self, shop, client):
        """Who is signed in to the console gets no more than a stranger."""
        client.force_login(make.user("root", administrator=True))
        address = f"/api/widget/v1/profile?key={shop.row.key}"
        signed_in = client.get(address, headers={"Origin": ORIGIN})
        assert signed_in.content == api.NO_TOKEN
        assert signed_in.cookies == {}

    def test_the_write_key_is_one_of_a_browser_source_with_the_same_origins(self, shop):
        from cdp.access.keys import source_of

        answer = get(shop, "config")
        assert answer.json() == {"open_lookup": False, "write_key": shop.row.write_key}
        source = source_of(shop.row.write_key)
        assert (source.trusted, source.name) == (False, "Widget: Shop")
        assert source.allowed_origins == (ORIGIN, "https://*.shop.example", "http://localhost:8000")
        shop.change(enabled=False)
        assert source_of(shop.row.write_key) is None


class TestWithoutAToken:
    def test_every_id_gets_the_same_bytes_and_nobody_is_looked_up(self, shop, ada, monkeypatch):
        shop.change(allowed_fields=FIELDS)

        def never(customer_id):
            raise AssertionError("somebody was looked up")

        monkeypatch.setattr(api, "look_up", never)
        answers = [get(shop, X_Customer_Id=customer) for customer in ("CUST123", "nobody", "", "x" * 5000)]
        assert {answer.content for answer in answers} == {api.NO_TOKEN}
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.headers["ETag"] for answer in answers}) == 1
        assert answers[0].json() == {
            "customer_id": None,
            "found": False,
            "cdp_available": False,
            "fallback_reason": "token_required",
            "stale": False,
            "profile": {},
        }

    def test_takes_the_same_time_and_no_query(self, shop, ada, django_assert_num_queries):
        shop.change(visitor_limit=10_000)
        get(shop)

        def taken(customer: str) -> float:
            start = time.thread_time()  # of this thread: what else the machine does is left out
            get(shop, X_Customer_Id=customer)
            return time.thread_time() - start

        with django_assert_num_queries(0):
            pairs = [(taken("CUST123"), taken("nobody")) for _ in range(60)]
        known, unknown = (min(column) for column in zip(*pairs, strict=True))
        assert abs(known - unknown) < 0.001


class TestWithAToken:
    def test_the_allowed_fields_of_its_customer(self, shop, ada):
        shop.change(allowed_fields=FIELDS)
        answer = get(shop, Authorization=bearer(shop.token("CUST123")), X_Customer_Id="somebody-else")
        assert (answer.status_code, answer.json()) == (
            200,
            {
                "customer_id": "CUST123",
                "found": True,
                "cdp_available": False,
                "fallback_reason": "not_configured",
                "stale": False,
                "profile": {"first_name": "Ada", "country": "LT", "attributes": {"plan": "pro"}},
            },
        )

    def test_nothing_that_the_key_does_not_allow(self, shop, ada):
        shop.change(allowed_fields=["country"])
        answer = get(shop, Authorization=bearer(shop.token("CUST123")))
        assert answer.json()["profile"] == {"country": "LT"}

    def test_an_expired_and_a_wrong_one(self, shop, ada, time_machine):
        time_machine.move_to("2026-11-20T12:00:00Z", tick=False)
        token = shop.token("CUST123", seconds=60)
        assert get(shop, Authorization=bearer(token[:-1])).json()["code"] == "invalid_token"
        time_machine.shift(61)
        answer = get(shop, Authorization=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Cache-Control"] == "no-store"

    def test_a_bad_one_does_not_fall_back_to_an_open_lookup(self, shop, ada):
        shop.change(open_lookup=True)
        assert get(shop, Authorization="Bearer nonsense", X_Customer_Id="CUST123").status_code == 401

    def test_the_same_again_is_a_304(self, shop, ada):
        shop.change(allowed_fields=FIELDS)
        first = get(shop, Authorization=bearer(shop.token("CUST123")))
        again = get(shop, Authorization=bearer(shop.token("CUST123")), If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["Access-Control-Allow-Origin"] == ORIGIN
        make.traits(ada, country="LV")
        changed = get(shop, Authorization=bearer(shop.token("CUST123")), If_None_Match=first.headers["ETag"])
        assert (changed.status_code, changed.json()["profile"]["country"]) == (200, "LV")


class TestOpenLookup:
    @pytest.fixture
    def kiosk(self, shop: Shop) -> Shop:
        shop.change(open_lookup=True, allowed_fields=FIELDS, open_limit=1000, visitor_limit=1000)
        return shop

    def test_fields_that_are_not_personal(self, kiosk, ada):
        answer = get(kiosk, X_Customer_Id="CUST123").json()
        assert (answer["customer_id"], answer["found"], answer["profile"]) == ("CUST123", True, {"country": "LT"})

    def test_unknown_ids_get_the_same_bytes(self, kiosk, ada):
        answers = {get(kiosk, X_Customer_Id=one).content for one in ("nobody", "CUST124", "null", "%C5%BD")}
        assert len(answers) == 1

    @pytest.mark.parametrize("customer", ["CUST123", "nobody"])
    @pytest.mark.parametrize(("needed", "steps"), [(0.0004, 1), (0.03, 1), (0.0999, 1), (0.1001, 2), (0.37, 4)])
    def test_takes_whole_steps_however_long_the_lookup_took(self, customer, needed, steps, kiosk, ada, monkeypatch):
        slept: list[float] = []
        moments = itertools.count(1000, needed)
        clock = SimpleNamespace(monotonic=lambda: next(moments), sleep=slept.append)
        monkeypatch.setattr(api, "time", clock)
        get(kiosk, X_Customer_Id=customer)
        assert needed + sum(slept) == pytest.approx(steps * STEP_SECONDS)

    @pytest.mark.parametrize("customer", ["CUST123", "nobody"])
    def test_takes_a_step_at_least(self, customer, kiosk, ada):
        start = time.perf_counter()
        get(kiosk, X_Customer_Id=customer)
        assert time.perf_counter() - start >= STEP_SECONDS

    def test_an_id_is_needed(self, kiosk):
        answers = [get(kiosk, X_Customer_Id=one) for one in ("", "%20", "x" * 201)]
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(400, "invalid")] * 3

    @pytest.mark.django_db(transaction=True)
    def test_of_many_at_a_time_some_have_to_come_again(self, kiosk, ada):
        def ask(_number: int) -> int:
            try:
                return get(kiosk, X_Customer_Id="CUST123").status_code
            finally:
                connection.close()

        with ThreadPoolExecutor(12) as threads:
            statuses = sorted(threads.map(ask, range(12)))
        assert (statuses[0], statuses[-1], {*statuses}) == (200, 429, {200, 429})
        assert ask(0) == 200

    def test_a_visitor_has_few_tries(self, kiosk, ada, time_machine):
        time_machine.move_to("2026-11-20T12:00:20Z", tick=False)
        kiosk.change(open_limit=2)
        answers = [get(kiosk, X_Customer_Id="CUST123") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["Retry-After"] == "40"
        assert get(kiosk, Authorization=bearer(kiosk.token("CUST123"))).status_code == 200


class TestLimits:
    @pytest.fixture(autouse=True)
    def _noon(self, time_machine):
        time_machine.move_to("2026-11-20T12:00:00Z", tick=False)

    @staticmethod
    def statuses(shop: Shop, *addresses: str, forwarded: str = "") -> list[int]:
        headers = {"Origin": ORIGIN, **({"X-Forwarded-For": forwarded} if forwarded else {})}
        address = f"/api/widget/v1/profile?key={shop.row.key}"
        return [Client(REMOTE_ADDR=one).get(address, headers=headers).status_code for one in addresses]

    def test_each_visitor_has_its_own(self, shop):
        shop.change(visitor_limit=2)
        assert self.statuses(shop, *["198.51.100.1"] * 3, "198.51.100.2") == [200, 200, 429, 200]

    def test_a_customer_of_ipv6_is_one_visitor(self, shop):
        shop.change(visitor_limit=2)
        network = ("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3", "2001:db8:0:1::1")
        assert self.statuses(shop, *network) == [200, 200, 429, 200]

    def test_all_visitors_together(self, shop):
        shop.change(rate_limit=3)
        assert self.statuses(shop, *[f"198.51.100.{n}" for n in range(4)]) == [200, 200, 200, 429]
        assert self.statuses(new_shop("Other"), "198.51.100.1") == [200]

    def test_a_forwarded_address_counts_behind_a_trusted_proxy_only(self, shop, settings):
        shop.change(visitor_limit=1)
        settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
        assert self.statuses(shop, "10.0.0.1", forwarded="203.0.113.1") == [200]
        assert self.statuses(shop, "10.0.0.1", forwarded="203.0.113.2") == [200]
        assert self.statuses(shop, "10.0.0.1", forwarded="198.51.100.7, 203.0.113.2") == [429]
        assert self.statuses(shop, "198.51.100.9", forwarded="203.0.113.3") == [200]
        assert self.statuses(shop, "198.51.100.9", forwarded="203.0.113.4") == [429]
