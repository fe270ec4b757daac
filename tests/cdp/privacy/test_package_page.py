"""Whatever somebody has put into a trait is text on the page."""

import re

from django.utils.html import escape
from hypothesis import given
from hypothesis import strategies as st

from cdp.privacy.package_page import _value

_TEXT = st.text(max_size=20) | st.sampled_from(["<script>alert(1)</script>", "</td>", '" onload="x', "&lt;", "<!--"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(["value", "stated_at", "at"]), _JSON)
def test_no_value_becomes_markup(name, value):
    left = re.sub(r"</?(?:div|b)>", "", _value(name, value))
    assert re.findall(r"[<>\"']", left) == []


@given(_TEXT.filter(bool))
def test_a_text_is_shown_as_it_is(text):
    assert _value("value", text) == escape(text)
    assert _value("value", {"k": text}) == f"<div><b>k</b> {escape(text)}</div>"
    assert _value("value", [text, text]) == f"{escape(text)}, {escape(text)}"


def test_what_is_very_deep_is_shown_too():
    deep = "<i>"
    for _ in range(60):
        deep = [deep]
    assert "<i>" not in _value("value", deep)
    assert "&lt;i&gt;" in _value("value", deep)
