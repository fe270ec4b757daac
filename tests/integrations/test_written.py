"""What comes back is written to the profile, when that is switched on."""

from typing import Any

import pytest

from cdp.access.models import Source
from cdp.profiles.models import Profile
from cdp.traits.golden import golden
from integrations.afterwards import finish
from integrations.connection import forget_connection
from integrations.lookup import look_up
from integrations.models import Integration
from tests import factories as make
from tests.integrations.upstream import Upstream, connect, row

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> Profile:
    made = make.profile()
    make.identifier(made, "user_id", "C1")
    make.traits(made, of=make.source("crm"), plan="pro")
    return made


@pytest.fixture
def writing(upstream: Upstream, db: None) -> Integration:
    return connect(upstream, write_traits=True)


def values(person: Profile) -> dict[str, Any]:
    return {key: golden.value for key, golden in golden(person.pk).values.items()}


def test_as_traits_of_the_provider(upstream: Upstream, writing: Integration, person: Profile):
    upstream.people["C1"] = row("C1", has_hbo=1)
    look_up("C1")
    finish()
    written = golden(person.pk).values
    assert {key: value.value for key, value in written.items()} == {
        "plan": "pro",
        "dt": "2022-09-07",
        "has_amazon_prime": False,
        "has_hbo": True,
        "has_netflix": True,
        "home_subscriptions_count_daily": 2,
        "mobile_subscriptions_count_daily": 0,
        "mobile_subscriptions_revenue": 0.0,
        "current_phone": "iPhone",
        "version": 20221017135048008,
    }
    source = Source.objects.get(name="exacaster")
    assert {value.source_id for key, value in written.items() if key != "plan"} == {source.pk}
    assert (written["has_hbo"].label, written["plan"].label) == ("exacaster", "")


def test_the_store_then_answers_the_same(upstream: Upstream, writing: Integration, person: Profile):
    upstream.people["C1"] = row("C1")
    said = look_up("C1").profile
    finish()
    Integration.objects.update(active=False)
    forget_connection()
    stored = look_up("C1")
    said["attributes"]["plan"] = "pro"
    assert (stored.source, stored.profile) == ("store", {**said, "purchase_count": 0})


def test_what_is_known_is_not_written_again(upstream: Upstream, writing: Integration, person: Profile):
    upstream.people["C1"] = row("C1")
    look_up("C1")
    finish()
    before = {key: value.at for key, value in golden(person.pk).values.items()}
    Integration.objects.update(config={**upstream.settings(), "api_url": f"{upstream.url}/"})  # asks anew
    forget_connection()
    upstream.people["C1"] = row("C1", current_phone="Pixel")
    look_up("C1")
    finish()
    after = golden(person.pk).values
    assert after["current_phone"].value == "Pixel"
    assert {key for key, value in after.items() if value.at != before[key]} == {"current_phone"}


def test_not_when_it_is_off(upstream: Upstream, integration: Integration, person: Profile):
    upstream.people["C1"] = row("C1")
    look_up("C1")
    finish()
    assert values(person) == {"plan": "pro"}


def test_nobody_is_created_by_being_looked_up(upstream: Upstream, writing: Integration):
    upstream.people["C9"] = row("C9")
    assert look_up("C9").found
    finish()
    assert Profile.objects.count() == 0


def test_more_than_a_profile_holds_is_not_written(
    upstream: Upstream, writing: Integration, person: Profile, caplog: Any
):
    upstream.people["C1"] = {"userId": "C1", **{f"column_{n}": n for n in range(1100)}}
    assert len(look_up("C1").profile["attributes"]) == 1100
    finish()
    assert values(person) == {"plan": "pro"}
    assert "too_many_traits" in caplog.text
