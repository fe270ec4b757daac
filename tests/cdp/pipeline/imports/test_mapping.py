"""What a user can say about columns, and what is answered when it makes no sense."""

import pytest

from cdp.core.errors import Invalid
from cdp.pipeline.imports.mapping import ColumnMap, Target, target

EVENT = ["t=timestamp", "e=event"]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("events", "userId", Target("userId", ("userId",), "id")),
        ("events", "email", Target("email", ("context", "traits", "email"), "id")),
        ("customers", "email", Target("email", ("traits", "email"), "id")),
        ("events", "external:shop", Target("external:shop", ("context", "externalIds", "shop"), "id")),
        ("events", "external:text", Target("external:text", ("context", "externalIds", "text"), "id")),
        ("events", "deviceId", Target("deviceId", ("context", "device", "id"), "id")),
        ("events", "timestamp", Target("timestamp", ("timestamp",), "time")),
        ("events", "properties.revenue", Target("properties.revenue", ("properties", "revenue"), "auto")),
        ("events", "properties.zip:number", Target("properties.zip", ("properties", "zip"), "number")),
        ("events", "context.campaign.name", Target("context.campaign.name", ("context", "campaign", "name"), "auto")),
        ("customers", "firstName", Target("firstName", ("traits", "firstName"), "auto")),
        ("customers", "traits.address.city:text", Target("traits.address.city", ("traits", "address", "city"), "text")),
    ],
)
def test_fields(kind, text, expected):
    assert target(kind, text) == expected


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("events", "user_id", "There is no field 'user_id' for events. Did you mean userId?"),
        ("customers", "userid", "There is no field 'userid' for customers. Did you mean userId?"),
        ("events", "timestmp", "Did you mean timestamp?"),
        ("events", "traits.x", "There is no field 'traits.x' for events"),
        ("customers", "properties.x", "There is no field 'properties.x' for customers"),
        ("events", "properties.", "There is no field 'properties.'"),
        ("events", "external:", "There is no field 'external:'"),
    ],
)
def test_what_is_no_field(kind, text, sentence):
    with pytest.raises(Invalid) as caught:
        target(kind, text)
    assert sentence in caught.value.message


def test_a_column_may_have_an_equals_sign_and_a_constant_too():
    columns = ColumnMap.parse("events", ["a=b=userId", *EVENT], ["properties.note=x=y"])
    assert columns.columns[0] == ("a=b", Target("userId", ("userId",), "id"))
    assert columns.constants == ((Target("properties.note", ("properties", "note"), "auto"), "x=y"),)
    assert columns.rest == "properties"


@pytest.mark.parametrize(
    ("kind", "columns", "constants", "rest", "sentence"),
    [
        ("events", ["a"], [], "", "--map 'a' cannot be read: write --map column=field."),
        ("events", EVENT, ["currency"], "", "--set 'currency' cannot be read: write --set field=value."),
        ("events", ["a=userId", "t=timestamp"], [], "", "Events need a name"),
        ("events", ["a=userId", "e=event"], [], "", "Events need their time"),
        ("events", ["a=userId", "b=userId", *EVENT], [], "", "userId would be filled twice"),
        ("customers", ["a=traits.x", "b=traits.x.y"], [], "", "traits.x.y would be filled twice: also by traits.x."),
        ("customers", ["b=traits.x.y", "a=traits.x"], [], "", "traits.x would be filled twice: also by traits.x.y."),
        ("customers", ["a=userId"], [], "properties", "Rows of customers have traits and no properties"),
    ],
)
def test_mappings_that_make_no_sense(kind, columns, constants, rest, sentence):
    with pytest.raises(Invalid) as caught:
        ColumnMap.parse(kind, columns, constants, rest=rest)
    assert sentence in caught.value.message


def test_a_column_that_is_not_there_is_answered_with_the_nearest_and_all():
    with pytest.raises(Invalid) as caught:
        ColumnMap.parse("customers", ["custmer_id=userId"]).check_columns(["customer_id", "city"])
    assert caught.value.message == (
        "The file has no column 'custmer_id'. Did you mean customer_id? Its columns are: customer_id, city."
    )
    assert caught.value.code == "unknown_column"


def test_somebody_must_own_the_rows():
    with pytest.raises(Invalid) as caught:
        ColumnMap.parse("customers", ["city=city", "no=messageId"]).check_columns(["city", "no"])
    assert caught.value.code == "no_identifier"
    assert "for example --map city=userId. The columns are: city, no." in caught.value.message
