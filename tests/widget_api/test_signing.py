"""Signed requests of a shop's server: what is signed, for how long, and that it counts once."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from cdp.access.models import AuditEntry
from cdp.core.clock import now_us
from tests.shops import Shop, new_shop
from widget_api.models import UsedNonce
from widget_api.signing import text_to_sign
from widget_api.tokens import signature

pytestmark = pytest.mark.django_db
BODY = b'{"customer_id": "CUST123"}'
AT = "2026-11-20T12:00:00Z"
SECONDS = 1_795_176_000


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to(AT, tick=False)


def path(shop: Shop) -> str:
    return f"/api/widget/v1/profile?key={shop.row.key}"


def signed(
    shop: Shop,
    *,
    at: object = SECONDS,
    nonce: str = "nonce-1234",
    method: str = "POST",
    body: bytes = BODY,
    kid: str = "",
    to: str = "",
) -> dict[str, str]:
    """The headers of a request that is signed with the shop's secret."""
    mac = signature(shop.secret.encode(), text_to_sign(str(at), nonce, method, to or path(shop), body))
    return {"X-Timestamp": str(at), "X-Nonce": nonce, "X-Signature": f"v1.{kid or shop.kid}.{mac}"}


def post(shop: Shop, headers: dict[str, str], body: bytes = BODY, to: str = "") -> tuple[int, str]:
    answer = Client().post(to or path(shop), body, content_type="application/json", headers=headers)
    return answer.status_code, answer.json().get("code", "")


def test_is_answered_once(shop):
    headers = signed(shop)
    assert post(shop, headers) == (200, "")
    assert post(shop, headers) == (401, "replayed")
    assert post(shop, signed(shop, nonce="nonce-1235")) == (200, "")


def test_the_time_is_within_five_minutes_either_way(shop):
    given = [SECONDS - 301, SECONDS - 300, SECONDS + 300, SECONDS + 301]
    answers = [post(shop, signed(shop, at=at, nonce=f"nonce-{at}")) for at in given]
    assert answers == [(401, "stale_request"), (200, ""), (200, ""), (401, "stale_request")]


def test_a_nonce_is_kept_as_long_as_it_could_be_used_again(shop, time_machine):
    ahead = signed(shop, at=SECONDS + 300)
    assert post(shop, ahead) == (200, "")
    time_machine.shift(600)
    post(shop, signed(shop, at=SECONDS + 600, nonce="another-one"))
    assert post(shop, ahead) == (401, "replayed")
    time_machine.shift(2)
    assert post(shop, ahead) == (401, "stale_request")
    post(shop, signed(shop, at=SECONDS + 602, nonce="one-more-nonce"))
    assert UsedNonce.objects.count() == 2


def test_each_part_is_signed(shop):
    good = signed(shop)
    other = new_shop("Other")
    wrong = {
        "body": post(shop, good, b'{"customer_id": "CUST124"}'),
        "time": post(shop, {**good, "X-Timestamp": str(SECONDS + 1)}),
        "nonce": post(shop, {**good, "X-Nonce": "nonce-1235"}),
        "query": post(shop, good, to=f"{path(shop)}&more=1"),
        "method": post(shop, signed(shop, method="PUT")),
        "key": post(shop, signed(other, to=path(shop))),
        "key id": post(shop, signed(shop, kid="nobody")),
        "version": post(shop, {**good, "X-Signature": good["X-Signature"].replace("v1.", "v2.")}),
        "no signature": post(shop, {}),
        "not ASCII": post(shop, {**good, "X-Signature": "v1.é.é"}),
        "a token": post(shop, {"Authorization": f"Bearer {shop.token('CUST123')}"}),
    }
    assert set(wrong.values()) == {(401, "invalid_signature")}
    assert post(shop, good) == (200, "")


@pytest.mark.parametrize("at", ["now", "-1", "1e9", "1795176000.5", "١٧٩٥١٧٦٠٠٠", "9" * 13, ""])
def test_a_time_that_is_none(at, shop):
    mac = signature(shop.secret.encode(), text_to_sign(at, "nonce-1234", "POST", path(shop), BODY))
    headers = {"X-Timestamp": at, "X-Nonce": "nonce-1234", "X-Signature": f"v1.{shop.kid}.{mac}"}
    assert post(shop, {name: value.encode().decode("latin-1") for name, value in headers.items()})[0] == 401


@pytest.mark.parametrize("nonce", ["", "short", "x" * 65])
def test_a_nonce_of_a_wrong_length(nonce, shop):
    assert post(shop, signed(shop, nonce=nonce)) == (401, "invalid_signature")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"customer_id": ""}', b'{"customer_id": 7}', b'{"customer_id": "\xff"}']
)
def test_a_body_that_names_nobody(body, shop):
    assert post(shop, signed(shop, body=body), body) == (400, "invalid")


def test_a_large_body(shop):
    body = json.dumps({"customer_id": "x" * 5000}).encode()
    assert post(shop, signed(shop, body=body), body) == (413, "too_large")


def test_has_a_limit_of_its_own(shop):
    """Visitors, who know the publishable key, cannot use up the server's share."""
    shop.change(rate_limit=2)
    for _ in range(4):
        Client().get(path(shop), headers={"Origin": "https://shop.example"})
    answers = [post(shop, signed(shop, nonce=f"nonce-{n:04}"))[0] for n in range(3)]
    assert answers == [200, 200, 429]


@pytest.mark.django_db(transaction=True)
def test_of_many_equal_requests_at_the_same_time_one_counts(shop):
    headers = signed(shop, at=now_us() // 1_000_000)
    gate = threading.Barrier(6)

    def send() -> int:
        gate.wait()
        try:
            return post(shop, headers)[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        statuses = sorted(one.result() for one in [threads.submit(send) for _ in range(6)])
    assert statuses == [200, 401, 401, 401, 401, 401]
    assert AuditEntry.objects.count() == 0  # nobody was found, so nothing personal was told
