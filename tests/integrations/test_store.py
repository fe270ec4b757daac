"""The profile from our own store: events, imported files, earlier look-ups."""

from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cdp.customer360.search import forget_namespaces
from cdp.traits.catalogue import forget_catalogue
from cdp.traits.models import TraitDefinition
from integrations.exacaster.provider import MAPPING
from integrations.lookup import look_up
from integrations.store import stored_profile
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_namespaces_kept() -> None:
    forget_namespaces()


@pytest.mark.django_db(transaction=True)
def test_customers_of_a_csv_file_are_what_answers_until_a_cdp_is_connected(tmp_path: Path):
    file = tmp_path / "customers.csv"
    file.write_text(
        "customer_id,email,firstName,country,current_phone,has_netflix,has_hbo,mobile_subscriptions_revenue,plan\n"
        "CUST1,ada@example.com,Ada,LT,iPhone,1,0,12.5,pro\n"
        "CUST2,bob@example.com,Bob,DE,,0,1,,basic\n"
    )
    call_command("import_file", str(file), "--kind", "customers", "--map", "customer_id=userId")
    answer = look_up("CUST1")
    assert (answer.found, answer.source, answer.cdp_available) == (True, "store", False)
    assert answer.fallback_reason == "not_configured"
    assert answer.profile == {
        "customer_id": "CUST1",
        "email": "ada@example.com",
        "first_name": "Ada",
        "country": "LT",
        "current_phone": "iPhone",
        "subscriptions": {"netflix": True, "hbo": False},
        "mobile_revenue": 12.5,
        "attributes": {"plan": "pro"},
        "purchase_count": 0,
    }
    assert look_up("CUST2").profile["subscriptions"] == {"netflix": False, "hbo": True}
    assert look_up("CUST3").found is False


def test_by_an_external_id_of_any_namespace():
    person = make.profile()
    make.identifier(person, "external", "7001", namespace="shopify")
    make.traits(person, plan="pro")
    assert (stored_profile("7001", MAPPING) or {})["attributes"] == {"plan": "pro"}


def test_the_user_id_goes_first():
    by_external, by_user = make.profile(), make.profile()
    make.identifier(by_external, "external", "C1", namespace="crm")
    make.traits(by_external, plan="external")
    make.identifier(by_user, "user_id", "C1")
    make.traits(by_user, plan="user")
    assert (stored_profile("C1", MAPPING) or {})["attributes"] == {"plan": "user"}


@pytest.mark.parametrize(
    ("code", "value"), [("email", "ada@example.com"), ("phone", "+37060000000"), ("device_id", "d-1")]
)
def test_no_other_identifier_finds_anybody(code: str, value: str):
    """Who types somebody's e-mail is not told about them."""
    person = make.profile()
    make.identifier(person, code, value)
    make.traits(person, plan="pro")
    assert stored_profile(value, MAPPING) is None


@pytest.mark.parametrize("value", ["null", "undefined", "0", "anonymous", ""])
def test_a_blocked_value_is_nobodys(value: str):
    assert stored_profile(value, MAPPING) is None


def test_sensitive_traits_stay_in_the_store():
    TraitDefinition.objects.create(key="diagnosis", classification="sensitive")
    forget_catalogue()
    person = make.profile()
    make.identifier(person, "user_id", "C1")
    make.traits(person, diagnosis="x", plan="pro")
    assert (stored_profile("C1", MAPPING) or {})["attributes"] == {"plan": "pro"}


def test_people_who_were_merged_are_one():
    first, second = make.profile(), make.profile()
    make.identifier(first, "user_id", "C1")
    make.traits(first, at=make.T0, plan="pro", city="Vilnius")
    make.traits(second, at=make.T0 + 1, plan="basic")
    make.merge(first, second)
    profile = stored_profile("C1", MAPPING) or {}
    assert (profile["attributes"], profile["city"]) == ({"plan": "basic"}, "Vilnius")


def test_what_was_bought():
    person = make.profile(revenue={"EUR": 1_250_000}, purchase_count=3)
    make.identifier(person, "user_id", "C1")
    profile = stored_profile("C1", MAPPING) or {}
    assert (profile["purchase_count"], profile["lifetime_value"], profile["currency"]) == (3, 125.0, "EUR")


def test_what_the_provider_says_of_value_is_not_overwritten():
    person = make.profile(revenue={"EUR": 1_250_000}, purchase_count=3)
    make.identifier(person, "user_id", "C1")
    make.traits(person, lifetime_value=7, purchase_count=9)
    profile = stored_profile("C1", MAPPING) or {}
    assert (profile["purchase_count"], profile["lifetime_value"], "currency" in profile) == (9, 7, False)


@pytest.mark.parametrize("traits", [1, 50])
def test_a_constant_number_of_queries(traits: int):
    person, other = make.profile(), make.profile()
    make.identifier(person, "external", "C1", namespace="crm")
    make.merge(person, other)
    for n in range(traits):
        make.traits(person, **{f"t{n}": n})
    with CaptureQueriesContext(connection) as cold:
        stored_profile("C1", MAPPING)
    with CaptureQueriesContext(connection) as warm:  # the namespaces and the catalogue are at hand
        stored_profile("C1", MAPPING)
    assert (len(cold), len(warm)) == (7, 5)
