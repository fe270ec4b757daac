"""Documents as columns: what goes where, and what does not go at all."""

import json
import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.core.clock import parse_time
from cdp.lake.looks import kept_text, personal_key, personal_number
from cdp.lake.schema import MAPS, Typed, events_schema, people_schema, typed_traits
from cdp.lake.values import MAX_DEPTH, Documents


def folded(document: dict[str, Any], typed: dict[str, Typed] | None = None, **options: Any) -> dict[str, Any]:
    """The one row that `document` becomes, without what is empty."""
    documents = Documents(typed or {}, options.pop("personal", frozenset().__contains__), **options)
    documents.add(document)
    arrays = documents.arrays()
    row = pa.table(arrays).to_pylist()[0]
    return {name: dict(value) if name in MAPS.values() else value for name, value in row.items() if value}


CARD = "4111 1111 1111 1111"


class TestWhereValuesGo:
    def test_each_kind_has_its_map(self):
        document = {"n": 3, "x": 2.5, "t": "word", "f": False, "l": ["a", 1, 2.5, True, None], "none": None}
        assert folded(document) == {
            "num": {"n": 3.0, "x": 2.5},
            "text": {"t": "word"},
            "flag": {"f": False},
            "list": {"l": ["a", "1", "2.5", "true"]},
        }

    def test_times_are_texts_too(self):
        at = "2026-01-31T10:00:00+02:00"
        assert folded({"at": at, "day": "2026-01-31", "no": "2026-01-31 or so", "number": "20260131"}) == {
            "text": {"at": at, "day": "2026-01-31", "no": "2026-01-31 or so", "number": "20260131"},
            "time": {"at": parse_time(at), "day": parse_time("2026-01-31")},
        }

    def test_objects_flatten_and_lists_of_objects_stay_out(self):
        document = {"a": {"b": {"c": {"d": 1, "e": {"f": 2}}}}, "items": [{"sku": 1}], "a.b": "first come"}
        assert folded(document) == {"text": {"a.b": "first come"}}
        del document["a.b"]
        assert folded(document) == {"num": {"a.b.c.d": 1.0}}
        assert MAX_DEPTH == 4

    def test_typed_columns_take_their_kind_and_nothing_else(self):
        typed = {"n": Typed("t_n", "number"), "when": Typed("t_when", "time"), "tags": Typed("t_tags", "list")}
        assert folded({"n": 1, "when": "2026-01-31", "tags": ["a"], "other": 2}, typed) == {
            "t_n": 1.0, "t_when": parse_time("2026-01-31"), "t_tags": ["a"], "num": {"other": 2.0},
        }  # fmt: skip
        assert folded({"n": "1", "when": 5, "tags": "a"}, typed) == {
            "text": {"n": "1", "tags": "a"},
            "num": {"when": 5.0},
        }
        both = folded({"n": 1}, typed, also_mapped=True)
        assert both == {"t_n": 1.0, "num": {"n": 1.0}}

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
    def test_what_is_no_number_stays_out(self, value):
        assert folded({"n": value}) == {}


class TestWhatStaysOut:
    @pytest.mark.parametrize(
        "value",
        [
            "ada@example.com", "write to ada@example.com now", "ada%40example.com", "+370 612 34567",
            "(0612) 345-678-9",
            "call +370 612 34567 today", CARD, f"card {CARD}!", "4111111111111111", "https://x.org/u/ada@example.com",
        ],
    )  # fmt: skip
    def test_texts_that_look_personal(self, value):
        assert kept_text(value) is None
        assert folded({"note": value, "list": ["ok", value], "ok": "yes"}) == {"text": {"ok": "yes"}}

    @pytest.mark.parametrize("value", ["2026-01-31", "12.50", "SKU-4711", "Really?", "a/b", "100 200", "1234567"])
    def test_texts_that_do_not(self, value):
        assert kept_text(value) == value

    @pytest.mark.parametrize(
        ("url", "kept"),
        [
            ("https://u:p@x.org/a?q=ada&utm_source=mail#top", "https://x.org/a?utm_source=mail"),
            ("/search?q=shoes", "/search"),
            ("https://x.org/a?utm_source=ada@example.com", None),
            ("https://[broken/?q=ada", "https://[broken/"),
        ],
    )
    def test_urls_lose_their_query(self, url, kept):
        assert kept_text(url) == kept

    @pytest.mark.parametrize(
        "key",
        [
            "email", "userEmail", "phone_number", "firstName", "last_name", "full name", "customer.name", "birthday",
            "shipping.street", "postalCode", "zip", "cardNumber", "user_id", "ip", "query", "searchTerm", "address",
        ],
    )  # fmt: skip
    def test_names_of_what_is_personal(self, key):
        assert personal_key(key)
        assert folded({key: "x", "n": 1}) == {"num": {"n": 1.0}}
        assert folded({key: 7}) == {}
        assert folded({key: {"inner": "x"}}) == {}
        assert folded({key: True}) == {"flag": {key: True}}

    @pytest.mark.parametrize(
        "key", ["name", "plan", "birthYear", "address.city", "shipping.country", "zipper", "shippingMethod"]
    )
    def test_names_of_what_is_not(self, key):
        assert not personal_key(key)

    def test_a_place_within_an_address(self):
        assert folded({"address": {"street": "Main 1", "city": "Vilnius", "country": "LT"}}) == {
            "text": {"address.city": "Vilnius", "address.country": "LT"}
        }

    def test_what_the_catalogue_knows(self):
        assert folded({"nick": "x", "plan": "pro"}, personal={"nick"}.__contains__) == {"text": {"plan": "pro"}}

    def test_a_name_that_is_somebody(self):
        assert folded({"ada@example.com": True, "+370 612 34567": 1, "": 1, "k" * 201: 1}) == {}

    def test_numbers_of_orders_are_no_telephone_numbers(self):
        assert folded({"order_id": "100000123456", "phoneless": "100000123456"}) == {
            "text": {"order_id": "100000123456"}
        }
        assert folded({"order_id": CARD}) == {}

    @pytest.mark.parametrize(
        ("number", "is_card"), [(4111111111111111, True), (4111111111111112, False), (1767225600000, False)]
    )
    def test_cards_as_numbers(self, number, is_card):
        assert personal_number(number) is is_card
        assert folded({"n": number}) == ({} if is_card else {"num": {"n": float(number)}})


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.datetimes().map(str)
_KEYS = st.text(min_size=1, max_size=8) | st.sampled_from(["a", "b", "a.b", "email", "n", "address", "city"])
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=12
)
_DOCUMENTS = st.lists(st.dictionaries(_KEYS, _VALUES, max_size=5), max_size=6)


class TestLaws:
    @given(_DOCUMENTS)
    def test_every_row_is_as_it_would_be_alone_and_valid(self, documents):
        typed = {"a": Typed("t_a", "number"), "b": Typed("t_b", "text")}
        together = Documents(typed, frozenset().__contains__)
        for document in documents:
            together.add(document)
        table = pa.table(together.arrays())
        table.validate(full=True)
        rows = table.to_pylist()
        for document, row in zip(documents, rows, strict=True):
            alone = Documents(typed, frozenset().__contains__)
            alone.add(document)
            assert repr(pa.table(alone.arrays()).to_pylist()) == repr([row])
            for column in MAPS.values():
                keys = [key for key, _ in row[column]]
                assert len(set(keys)) == len(keys), "a map has a key twice"

    @given(_DOCUMENTS)
    def test_nothing_that_looks_personal_comes_through(self, documents):
        made = Documents({}, frozenset().__contains__)
        for document in documents:
            made.add(document)
        for row in pa.table(made.arrays()).to_pylist():
            for key, text in row["text"]:
                assert kept_text(text, numbered=True) == text
                assert not personal_key(key)
            for _, number in row["num"]:
                assert math.isfinite(number)

    @given(st.dictionaries(_KEYS, _SCALARS, max_size=6))
    def test_what_is_kept_is_what_was_said(self, document):
        row = folded(document)
        said = json.loads(json.dumps(document, default=str))
        for column, kind in (("text", str), ("num", (int, float)), ("flag", bool)):
            for key, value in row.get(column, {}).items():
                assert isinstance(said[key], kind)
                # Numbers are kept as doubles.
                assert (float(said[key]) if column == "num" else said[key]) == value or (
                    column == "text" and ("://" in said[key] or said[key].startswith("/"))
                )


def test_schemas():
    typed = typed_traits({"plan": "text", "Plan": "number", "since": "time", "odd key": "text", "tags": "list"})
    assert typed == {
        "Plan": Typed("t_Plan", "number"), "since": Typed("t_since", "time"), "tags": Typed("t_tags", "list"),
    }  # fmt: skip
    assert events_schema().field("p_amount").type == pa.decimal128(18, 4)
    assert people_schema(typed.values()).names[6:9] == ["t_Plan", "t_since", "t_tags"]
