"""The signed customer token: what proves a customer, and that nothing else does."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp.core.clock import SECOND, now_us
from tests.shops import new_shop
from widget_api.keys import KeyRef, add_secret, retire_secret
from widget_api.models import WidgetSecret
from widget_api.tokens import BadToken, customer_of, proven_user, sign_token

NOW = 1_800_000_000 * SECOND
KEY = KeyRef(
    id=1,
    key="pk_test",
    name="Shop",
    source_id=7,
    write_key="w",
    origins=(),
    fields=(),
    open_fields=(),
    open_lookup=False,
    rate_limit=60,
    visitor_limit=60,
    open_limit=10,
    secrets={"k1": b"ws_first", "k2": b"ws_second"},
)


def made(claims: object, *, secret: bytes = b"ws_first", kid: str = "k1", version: str = "v1") -> str:
    """A token put together by hand, as the documentation describes it."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    signed = f"{version}.{kid}.{body}"
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def claims(**other: object) -> dict[str, object]:
    seconds = NOW // SECOND
    return {"sub": "CUST123", "iat": seconds, "exp": seconds + 3600, "aud": "pk_test", **other}


def refused(token: str, now: int = NOW) -> tuple[str, int]:
    with pytest.raises(BadToken) as caught:
        customer_of(token, KEY, now=now)
    return caught.value.code, caught.value.status


def test_a_token_as_documented_proves_its_subject():
    assert customer_of(made(claims()), KEY, now=NOW) == "CUST123"
    assert customer_of(made(claims(), secret=b"ws_second", kid="k2"), KEY, now=NOW) == "CUST123"
    assert made(claims()).startswith("v1.k1.")


@given(st.text(min_size=1, max_size=200).filter(str.strip), st.integers(1, 3600))
def test_what_is_signed_is_proven_until_it_ends(customer: str, seconds: int) -> None:
    token = sign_token(customer, KEY, now=NOW, seconds=seconds)
    end = NOW + seconds * SECOND
    assert customer_of(token, KEY, now=NOW) == customer
    assert customer_of(token, KEY, now=end - 1) == customer
    assert refused(token, end) == ("token_expired", 401)


@settings(max_examples=300)
@given(st.data())
def test_no_other_text_than_the_one_signed_is_taken(data: st.DataObject) -> None:
    """One letter changed, added or left out anywhere: refused. base64 with other trailing bits too."""
    token = made(claims())
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCxyz0189-_.=+/ é"))
    changed = data.draw(
        st.sampled_from(
            [
                token[:place] + letter + token[place + 1 :],
                token[:place] + letter + token[place:],
                token[:place] + token[place + 1 :],
            ]
        )
    )
    if changed != token:
        assert refused(changed) == ("invalid_token", 401)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "v1",
        "....",
        made(claims(), version="v2"),
        made(claims(), secret=b"guessed"),
        made(claims(), kid="k3"),
        made(claims(), kid="k2"),
        made(claims(), secret=b"\0" * 32, kid="nobody"),
        made(claims(aud="pk_other")),
        made(claims(aud=["pk_test"])),
        made(claims(iat=NOW // SECOND + 61)),
        made(claims(exp=NOW // SECOND + 3601)),
        made(claims(exp=NOW // SECOND)),
        made(claims(iat=NOW // SECOND - 1, exp=NOW // SECOND + 3600)),
        made(claims(exp="soon")),
        made(claims(exp=1e30)),
        made(claims(exp=True)),
        made(claims(sub="")),
        made(claims(sub="  ")),
        made(claims(sub="x" * 201)),
        made(claims(sub=7)),
        made({"sub": "CUST123"}),
        made([]),
        made(claims(sub="x" * 5000)),
    ],
)
def test_is_refused(token):
    assert refused(token) == ("invalid_token", 401)


def test_an_hour_that_has_begun_in_the_past_and_a_clock_ahead_are_taken():
    seconds = NOW // SECOND
    assert customer_of(made(claims(iat=seconds + 60, exp=seconds + 3660)), KEY, now=NOW) == "CUST123"
    assert customer_of(made(claims(iat=seconds - 3599, exp=seconds + 1)), KEY, now=NOW) == "CUST123"


@pytest.mark.django_db
class TestSecrets:
    def test_two_are_active_and_the_older_one_works_until_it_is_retired(self, shop):
        before = shop.token("CUST123")
        second, _ = add_secret(shop.row)
        with pytest.raises(Exception, match="Two secrets"):
            add_secret(shop.row)
        assert customer_of(before, shop.ref, now=now_us()) == "CUST123"
        retire_secret(WidgetSecret.objects.get(kid=shop.kid))
        assert list(shop.ref.secrets) == [second.kid]
        with pytest.raises(BadToken):
            customer_of(before, shop.ref, now=now_us())
        assert add_secret(shop.row)[0].kid != second.kid

    def test_is_kept_encrypted(self, shop):
        body = bytes(WidgetSecret.objects.get().body)
        assert shop.secret.encode() not in body
        assert shop.ref.secrets == {shop.kid: shop.secret.encode()}

    def test_a_token_of_one_key_is_nothing_to_another(self, shop):
        other = new_shop("Other")
        with pytest.raises(BadToken):
            customer_of(shop.token("CUST123"), other.ref, now=now_us())

    def test_proves_the_user_of_a_message_of_the_keys_own_source(self, shop):
        other = new_shop("Other")
        token, now = shop.token("CUST123"), now_us()
        proven = [proven_user(token, source_id=one, at=now) for one in (shop.row.source_id, other.row.source_id, 0)]
        assert proven == ["CUST123", None, None]
        assert proven_user(token, source_id=shop.row.source_id, at=now + 3601 * SECOND) is None

    def test_a_disabled_key_proves_nothing(self, shop):
        token = shop.token("CUST123")
        shop.change(enabled=False)
        assert proven_user(token, source_id=shop.row.source_id, at=now_us()) is None
