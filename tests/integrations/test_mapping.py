"""From columns to a profile."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.core.errors import Invalid
from integrations.exacaster.provider import MAPPING
from integrations.mapping import Mapping, Rule, parse_mapping, read_as, type_of
from integrations.standard import ATTRIBUTES, SPELLINGS
from tests.integrations.upstream import row

NAMES = st.sampled_from(["userId", "has_a", "is_b", "plan", "x.y", "firstName", "ltv", "dt", "current_phone", "ž"])
VALUES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=20)
quietly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ROWS = st.dictionaries(NAMES, VALUES)


@pytest.mark.parametrize(
    ("wanted", "value", "read"),
    [
        ("boolean", 1, True), ("boolean", 0, False), ("boolean", "1", True), ("boolean", "Yes", True),
        ("boolean", "false", False), ("boolean", True, True), ("boolean", 1.0, True), ("boolean", 2, None),
        ("boolean", "maybe", None), ("boolean", [], None),
        ("integer", 3, 3), ("integer", 3.0, 3), ("integer", "3", 3), ("integer", 3.5, None), ("integer", "x", None),
        ("integer", True, None), ("integer", 20221017135048008, 20221017135048008),
        ("number", "12.5", 12.5), ("number", 0.0, 0.0), ("number", " 7 ", 7.0), ("number", "", None),
        ("number", "NaN", None), ("number", "1e999", None),
        ("text", 12, "12"), ("text", True, "true"), ("text", "x", "x"), ("text", {}, None),
        ("date", "2022-09-07", "2022-09-07"), ("date", "2022-09-07T10:00:00Z", "2022-09-07T10:00:00Z"),
        ("date", "07.09.2022", None), ("date", "2022-13-45", None), ("date", "", None),
        ("any", {"a": 1}, {"a": 1}), ("any", None, None), ("text", None, None),
    ],
)  # fmt: skip
def test_a_value_as_a_type(wanted: Any, value: Any, read: Any):
    found = read_as(wanted, "column", value)
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("value", "name"),
    [(True, "boolean"), (1, "integer"), (1.5, "number"), ("x", "text"), ("2020-01-31", "date"),
     ("2020-01-31T10:00:00", "time"), ([], "list"), ({}, "object"), (None, "nothing")],
)  # fmt: skip
def test_the_name_of_a_type(value: Any, name: str):
    assert type_of(value) == name


def test_the_mapping_of_the_specification():
    profile = MAPPING.profile(MAPPING.columns(row("C1", has_hbo=1, mobile_subscriptions_revenue=12.345)))
    assert profile == {
        "customer_id": "C1",
        "as_of": "2022-09-07",
        "current_phone": "iPhone",
        "subscriptions": {"netflix": True, "hbo": True, "amazon_prime": False, "mobile_count": 0, "home_count": 2},
        "mobile_revenue": 12.345,
        "attributes": {"version": 20221017135048008},
    }


@quietly
@given(ROWS)
def test_reading_what_was_read_changes_nothing(columns: dict[str, Any]):
    """So traits that were written from an answer give the same profile as the answer."""
    read = MAPPING.columns(columns)
    assert MAPPING.columns(read) == read
    assert MAPPING.profile(MAPPING.columns(read)) == MAPPING.profile(read)


@quietly
@given(ROWS)
def test_no_column_is_lost_and_none_is_invented(columns: dict[str, Any]):
    mapping = Mapping(fields={"a": Rule("plan"), "g.b": Rule("dt")})
    read = mapping.columns(columns)
    profile = mapping.profile(read)
    flat = {name: value for name, value in profile.items() if name not in ("g", ATTRIBUTES)}
    flat |= {f"g.{name}": value for name, value in profile.get("g", {}).items()}
    flat |= {f"attributes.{name}": value for name, value in profile.get(ATTRIBUTES, {}).items()}
    names = {"plan": "a", "dt": "g.b"}
    expected = {names.get(name, SPELLINGS.get(name, f"attributes.{name}")): value for name, value in read.items()}
    assert flat == expected
    assert set(read) == {name for name, value in columns.items() if value is not None}


@quietly
@given(ROWS)
def test_without_a_rest_only_named_and_standard_fields_are_left(columns: dict[str, Any]):
    mapping = Mapping(fields={"a": Rule("plan")}, rest="ignore")
    assert set(mapping.profile(mapping.columns(columns))) <= {"a", *SPELLINGS.values()}


@pytest.mark.parametrize("document", [None, [], "x", {}, {"fields": []}, {"fields": {"a": "b"}}, {"fields": {"1": {}}}])
def test_what_is_no_mapping(document: Any):
    with pytest.raises(Invalid):
        parse_mapping(document)
