"""One spelling per identifier, and what is none."""

import pytest

from cdp.identities.models import BlockedValue
from cdp.identities.normalise import as_text, normalised
from cdp.identities.rules import Kind, rules_of


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("email", " Ada@Example.COM ", "ada@example.com"),
        ("email", "ada+news@example.com", "ada+news@example.com"),
        ("email", "ada@exam ple.com", None),
        ("email", "ada", None),
        ("email", "@example.com", None),
        ("phone", "+370 600 12345", "+37060012345"),
        ("phone", "8 600 12345", "+37060012345"),
        ("phone", "12", None),
        ("phone", "call me", None),
        ("user_id", "ｕ１", "u1"),
        ("user_id", " 00001 ", "00001"),
        ("user_id", "x" * 201, None),
        ("user_id", "a\0b", None),
        ("user_id", " ", None),
    ],
)
def test_spelling(code: str, value: str, expected: str | None):
    assert normalised(code, value, region="LT") == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("a", "a"), (7, "7"), (7.0, "7"), (7.5, "7.5"), (True, None), (None, None), ([], None)]
)
def test_numbers_are_ids(value: object, expected: str | None):
    assert as_text(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *("", "0", "000-000", "----", "-1", "NULL", "None", "NaN", "nil", "undefined", "TRUE", "false", " Guest "),
        *("[Object object]", "anonymous", "guest", "id", "distinct_id", "distinctid", "not_authenticated", "email"),
    ],
)
@pytest.mark.django_db
def test_rule_3_blocked_values_are_no_identifiers(value: str):
    blocked = [("blocked", 0, row, 0, 0, 0, 0, 0, 0) for row in BlockedValue.objects.values_list("value", flat=True)]
    rules = rules_of(blocked, region="LT")
    assert rules.spelling(Kind(1, "user_id", 1, 1, None, True, True, False), value) is None
