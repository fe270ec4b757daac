"""From rows to messages: what becomes a number, what stays a text, which rows are refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.pipeline.imports.mapping import ColumnMap
from cdp.pipeline.imports.messages import MessageMaker, RowRefused


def maker(kind, columns, constants=(), **options):
    return MessageMaker(ColumnMap.parse(kind, columns, constants, **options), region="LT")


def customer(column, value, field="x", **options):
    message = maker("customers", ["id=userId", f"{column}={field}"], **options).message({"id": "1", column: value})
    return message.get("traits", {}).get(field.partition(":")[0])


def test_a_purchase_of_cdnow():
    made = maker(
        "events",
        ["customer_id=userId", "date=timestamp", "amount=properties.revenue", "quantity=properties.quantity"],
        ["event=Order Completed", "properties.currency=USD"],
    ).message({"customer_id": "00001", "date": "1997-01-01", "quantity": "1", "amount": "11.77"})
    assert made == {
        "type": "track",
        "userId": "00001",
        "event": "Order Completed",
        "timestamp": "1997-01-01T00:00:00+00:00",
        "properties": {"currency": "USD", "revenue": 11.77, "quantity": 1},
    }


def test_a_customer_with_everything():
    columns = ["id=userId", "mail=email", "tel=phone", "crm=external:crm", "dev=deviceId", "seen=timestamp"]
    columns += ["town=traits.address.city", "first=firstName", "src=context.campaign.source"]
    row = {"id": " 7 ", "mail": "Ada@X.example", "tel": "+37060000001", "crm": "000", "dev": "d", "seen": "1700000000"}
    row |= {"town": "Vilnius", "first": "Ada", "src": "news", "zip": "01234", "age": "36", "vip": "TRUE", "none": ""}
    assert maker("customers", columns).message(row) == {
        "type": "identify",
        "userId": "7",
        "timestamp": "2023-11-14T22:13:20+00:00",
        "traits": {
            "zip": "01234",
            "age": 36,
            "vip": True,
            "email": "Ada@X.example",
            "phone": "+37060000001",
            "address": {"city": "Vilnius"},
            "firstName": "Ada",
        },
        "context": {
            "externalIds": [{"id": "000", "type": "crm", "collection": "users", "encoding": "none"}],
            "device": {"id": "d"},
            "campaign": {"source": "news"},
        },
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-3.50", -3.5), ("0", 0), ("0.5", 0.5), ("-0", 0), ("123456789012345", 123456789012345),
        ("1234567890123456", "1234567890123456"), ("007", "007"), ("+37060000001", "+37060000001"), ("1e5", "1e5"),
        ("1,234.00", "1,234.00"), (".5", ".5"), ("5.", "5."), ("٣", "٣"), ("NaN", "NaN"), ("Infinity", "Infinity"),
        ("true", True), ("False", False), ("yes", "yes"), ("  ", None), (" a ", "a"),
        ("1.00000000000000001", "1.00000000000000001"),
    ],
)  # fmt: skip
def test_what_a_text_becomes(text, value):
    found = customer("x", text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("column", ["productId", "product_id", "ZIP", "zip code", "orderNumber", "Phone", "SKU", "ids"])
def test_labels_stay_texts(column):
    assert customer(column, "12345") == "12345"


@pytest.mark.parametrize("column", ["paid", "quantity", "price", "idea", "numberOf"])
def test_names_that_only_look_like_labels_hold_numbers(column):
    assert customer(column, "12345") == 12345


def test_the_user_can_decide():
    assert customer("zip", "12345", "zip:number") == 12345
    assert customer("price", "12345", "price:text") == "12345"
    assert customer("price", "1234,5", decimal=",") == 1234.5
    assert customer("price", "1.234", decimal=",") == "1.234"
    with pytest.raises(RowRefused, match="The value for x is not a number"):
        customer("price", "a lot", "x:number")


def test_json_values_keep_their_types():
    make = maker("customers", ["who.id=userId", "n=x:text"])
    made = make.message({"who": {"id": 7}, "n": 12, "list": [1, "2"], "flag": False, "nothing": None})
    assert made == {
        "type": "identify",
        "userId": "7",
        "traits": {"who": {"id": 7}, "list": [1, "2"], "flag": False, "x": "12"},
    }


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("1997-01-01", "1997-01-01T00:00:00+00:00"), ("19970101", "1997-01-01T00:00:00+00:00"),
        ("1997-01-01 10:30", "1997-01-01T10:30:00+00:00"), ("1997-01-01T10:30:00+02:00", "1997-01-01T08:30:00+00:00"),
        ("883612800", "1998-01-01T00:00:00+00:00"), ("883612800000", "1998-01-01T00:00:00+00:00"),
        ("883612800000000", "1998-01-01T00:00:00+00:00"), ("883612800.5", "1998-01-01T00:00:00.500000+00:00"),
        (883612800, "1998-01-01T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_times(text, iso):
    make = maker("events", ["u=userId", "t=timestamp"], ["event=x"])
    assert make.message({"u": "1", "t": text})["timestamp"] == iso


def test_a_time_format_of_ones_own():
    make = maker("events", ["u=userId", "t=timestamp"], ["event=x"], time_format="%d.%m.%Y")
    assert make.message({"u": "1", "t": "31.12.1997"})["timestamp"] == "1997-12-31T00:00:00+00:00"
    with pytest.raises(RowRefused, match="Its time cannot be read"):
        make.message({"u": "1", "t": "1997-12-31"})


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"u": "", "t": "1997-01-01", "e": "x"}, "no_identifier"),
        ({"u": "", "m": "no mail", "t": "1997-01-01", "e": "x"}, "no_identifier"),
        ({"u": "1", "t": "yesterday", "e": "x"}, "bad_timestamp"),
        ({"u": "1", "t": "", "e": "x"}, "no_timestamp"),
        ({"u": "1", "t": True, "e": "x"}, "bad_timestamp"),
        ({"u": "1", "t": "1997-01-01", "e": " "}, "no_event"),
        ({"u": ["1"], "t": "1997-01-01", "e": "x"}, "bad_id"),
    ],
)
def test_rows_that_make_no_message(row, code):
    make = maker("events", ["u=userId", "m=email", "t=timestamp", "e=event"])
    with pytest.raises(RowRefused) as caught:
        make.message(row)
    assert caught.value.code == code


def test_an_email_alone_is_enough_and_the_rest_can_be_left_out():
    make = maker("customers", ["m=email"], rest="ignore")
    assert make.message({"m": "a@x.example", "city": "Vilnius"}) == {
        "type": "identify",
        "traits": {"email": "a@x.example"},
    }


@given(st.dictionaries(st.text(min_size=1), st.text()), st.text(min_size=1).filter(str.strip))
def test_any_row_of_texts_makes_json_that_keeps_the_id(values, user):
    made = maker("customers", ["who=userId"]).message({**values, "who": user})
    assert msgspec.json.decode(msgspec.json.encode(made))["userId"] == user.strip()
    assert set(made.get("traits", {})) == {name for name, text in values.items() if text.strip() and name != "who"}


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("0123456789.-+eE,_ "))
def test_a_number_is_never_read_as_another_number(value):
    text = str(value)
    found = customer("x", text)
    if not isinstance(found, str | None):
        assert str(found).lstrip("-") in (text.strip().lstrip("-"), f"{float(text)!r}".lstrip("-"))
        assert float(text) == found
