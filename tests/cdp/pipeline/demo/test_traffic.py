"""The demo shop's messages: the same bytes for the same seed, usable, plausible."""

import hashlib
from collections import Counter
from datetime import date, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp.access.source import SourceRef
from cdp.core.clock import now_us
from cdp.pipeline.check import checked
from cdp.pipeline.demo.people import LOYAL, VISITOR, dice, make_person
from cdp.pipeline.demo.traffic import Shop
from cdp.pipeline.message import decode_message

UNTIL = date(2026, 11, 1)
SOURCE = SourceRef(id=1, name="demo shop", trusted=True)


@pytest.fixture(scope="module")
def lives():
    shop = Shop(1, until=UNTIL, days=730)
    return [shop.messages(number) for number in range(1500)]


@pytest.fixture(scope="module")
def decoded(lives):
    return [[msgspec.json.decode(message) for message in life] for life in lives]


def test_the_same_seed_gives_the_same_bytes(lives):
    shop = Shop(1, until=UNTIL, days=730)
    backwards = [shop.messages(number) for number in reversed(range(1500))]
    assert backwards[::-1] == lives
    digest = hashlib.sha256(b"\n".join(b"\n".join(life) for life in lives)).hexdigest()
    assert digest == "00d500a8ea1ac8f7023069cef84b53e152fccc79c348a2e0337d86a0e3a0a117"


def test_another_seed_gives_other_people():
    one, two = (Shop(seed, until=UNTIL, days=730) for seed in (1, 2))
    assert not {m for n in range(50) for m in one.messages(n)} & {m for n in range(50) for m in two.messages(n)}


def test_every_message_is_accepted_and_has_its_own_id(lives):
    found = [checked(raw, source=SOURCE, received=now_us(), max_bytes=32 * 1024) for life in lives for raw in life]
    assert {message.code for message in found} == {""}
    assert len({message.digest for message in found}) == len(found)


def test_each_person_comes_in_order_of_time_and_within_the_days(decoded):
    for life in decoded:
        times = [datetime.fromisoformat(message["timestamp"]) for message in life]
        assert times == sorted(times)
        assert date(2024, 11, 1) <= times[0].date() <= times[-1].date() < UNTIL


def test_about_twenty_messages_each(lives):
    assert 18 < sum(map(len, lives)) / len(lives) < 22
    assert min(map(len, lives)) >= 2


def test_what_happens(decoded):
    names = Counter(message.get("event", message["type"]) for life in decoded for message in life)
    assert set(names) == {
        "page", "screen", "identify", "Products Searched", "Product Viewed", "Product Added", "Checkout Started",
        "Order Completed", "Order Refunded", "Signed Up", "Signed In", "Consent Updated", "Email Opened",
        "Email Clicked", "Survey Completed", "Support Ticket Opened",
    }  # fmt: skip
    assert (
        names["Product Viewed"] > names["Product Added"] > names["Checkout Started"] > names["Order Completed"] > 1000
    )


def test_orders_add_up(decoded):
    orders = [m["properties"] for life in decoded for m in life if m.get("event") == "Order Completed"]
    assert len({order["order_id"] for order in orders}) == len(orders)
    for order in orders:
        cents = sum(round(line["price"] * 100) * line["quantity"] for line in order["products"])
        assert round(order["revenue"] * 100) == (cents * 9 // 10 if "coupon" in order else cents)


def test_visitors_stay_unknown_and_others_are_linked_on_every_device(decoded):
    several = 0
    for number, life in enumerate(decoded):
        random = dice(1, number)
        person = make_person(1, number, random)
        users = {message["userId"] for message in life if "userId" in message}
        linked = {message["anonymousId"] for message in life if message["type"] == "identify"}
        own = {device.anonymous_id for device in person.devices}
        used = {message["anonymousId"] for message in life if "anonymousId" in message} & own
        if person.kind == VISITOR:
            assert (users, linked) == (set(), set())
        elif users:
            assert users == {person.user_id}
            assert linked == used
            several += len(used) > 1
        assert users or person.kind != LOYAL
    assert several > 100


def test_names_of_several_languages_and_unique_addresses(decoded):
    traits = [m["traits"] for life in decoded for m in life if m["type"] == "identify" and "firstName" in m["traits"]]
    assert {trait["language"] for trait in traits} == {"lt", "de", "en", "fr", "es", "pl", "uk"}
    assert any(trait["firstName"] == "Олена" for trait in traits)
    assert len({trait["email"].lower() for trait in traits}) == len(traits)
    phones = [trait["phone"] for trait in traits if "phone" in trait]
    assert len(set(phones)) == len(phones) > len(traits) / 2


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(0, 10**7), st.integers(1, 1000))
def test_any_seed_person_and_span_makes_messages(seed, number, days):
    messages = Shop(seed, until=UNTIL, days=days).messages(number)
    assert messages
    assert [decode_message(raw).message_id for raw in messages] == [
        f"demo-{seed}-{number}-{n}" for n in range(len(messages))
    ]
