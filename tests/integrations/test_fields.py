"""Which fields there are, and which of them tell who somebody is."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cdp.traits.catalogue import forget_catalogue
from cdp.traits.models import TraitDefinition
from integrations.fields import is_personal_field, profile_fields
from integrations.models import Integration

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "personal"),
    [
        ("customer_id", True), ("first_name", True), ("last_name", True), ("email", True), ("phone", True),
        ("current_phone", False), ("subscriptions.netflix", False), ("mobile_revenue", False), ("country", False),
        ("city", False), ("purchase_count", False), ("attributes.plan", False), ("attributes.dateOfBirth", True),
        ("attributes.nobody_knows_this", True), ("nonsense", True), ("attributes", True),
    ],
)  # fmt: skip
def test_what_is_personal(name: str, personal: bool):
    assert is_personal_field(name) is personal


@pytest.mark.parametrize("value", ["ada@example.com", "+370 600 00000", ["x", {"a": "ada@example.com"}]])
def test_a_value_that_looks_personal_is(value: object):
    assert is_personal_field("current_phone", value)
    assert not is_personal_field("current_phone", "iPhone")


def test_the_catalogue_and_the_last_test_add_attributes():
    TraitDefinition.objects.create(key="favourite_colour", classification="public")
    TraitDefinition.objects.create(key="income", classification="personal")
    TraitDefinition.objects.create(key="diagnosis", classification="sensitive")
    forget_catalogue()
    columns = dict.fromkeys(("tariff", "contact_email", "current_phone", "income", "diagnosis"), "text")
    Integration.objects.create(provider="exacaster", name="x", columns=columns, created_at=1, updated_at=1)
    fields = profile_fields()
    expected = {"favourite_colour": False, "income": True, "tariff": False, "contact_email": True}
    assert {name: fields[f"attributes.{name}"].personal for name in expected} == expected
    assert "attributes.diagnosis" not in fields
    assert "attributes.current_phone" not in fields


def test_a_mapping_without_a_rest_has_no_attributes():
    mapping = {"fields": {"plan": {"column": "p", "label": "Tariff", "personal": True}}, "rest": "ignore"}
    Integration.objects.create(provider="exacaster", name="x", mapping=mapping, created_at=1, updated_at=1)
    fields = profile_fields()
    assert (fields["plan"].label, fields["plan"].personal) == ("Tariff", True)
    assert [name for name in fields if name.startswith("attributes.")] == []


@pytest.mark.parametrize("count", [1, 30])
def test_two_queries(count: int):
    for number in range(count):
        TraitDefinition.objects.create(key=f"t{number}")
    profile_fields()
    with CaptureQueriesContext(connection) as queries:
        profile_fields()
    assert len(queries) == 2
