"""Whatever a rule says, it ends as literals: the statement has the same shape as for harmless words."""

from collections.abc import Callable
from typing import Any

import ibis
import pytest
import sqlglot
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from cdp.lake.rules.compile import compile_rules
from cdp.lake.rules.parse import Catalogue, parse
from cdp.lake.tables import Tables
from tests.cdp.lake.rules.world import EVENTS, PEOPLE, TYPED_PROPERTIES, TYPED_TRAITS

CATALOGUE = Catalogue(traits=TYPED_TRAITS, properties=TYPED_PROPERTIES)
TABLES = Tables(
    people=ibis.table(ibis.Schema.from_pyarrow(PEOPLE), name="people"),
    events=ibis.table(ibis.Schema.from_pyarrow(EVENTS), name="events"),
    moved=ibis.table({"profile": "int64", "person": "int64"}, name="moved"),
    members=ibis.table({"segment": "string", "person": "int64"}, name="members"),
)
PLACES: list[Callable[[str], dict[str, Any]]] = [
    lambda text: {"trait": f"k{text}", "operator": "=", "value": 1},
    lambda text: {"trait": f"k{text}", "operator": "contains", "value": f"v{text}"},
    lambda text: {"trait": "plan", "operator": "in", "value": [f"v{text}", "b"]},
    lambda text: {"trait": "plan", "operator": "starts_with", "value": f"v{text}"},
    lambda text: {"consent": f"C{text}"},
    lambda text: {"event": f"e{text}", "where": [{"field": f"k{text}", "operator": "=", "value": f"v{text}"}]},
    lambda text: {"event": f"e{text}", "aggregate": "last", "property": f"k{text}", "kind": "text",
                  "operator": "!=", "value": f"v{text}"},
    lambda text: {"sequence": [{"event": f"e{text}"}, {"event": "b"}]},
]  # fmt: skip
HOSTILE = [
    "'",
    '"',
    "\\",
    "\\'",
    "'; drop table people; --",
    "' or 1=1 --",
    "%",
    "{}",
    "$$",
    "`",
    "/*",
    "?",
    "\n",
    "x'",
]


def _statement(rule: dict[str, Any], dialect: str) -> str:
    rules = {"segment": parse(rule, CATALOGUE)}
    expression = compile_rules(rules, TABLES, now=1_790_000_000_000_000, zone="UTC")
    assert getattr(ibis, dialect).name == dialect  # loads the engine's options
    return str(ibis.to_sql(expression, dialect=dialect))


def _shape(statement: str, dialect: str) -> tuple[exp.Expression, list[str]]:
    """The statement with every text replaced by one and the same, and the texts."""
    parsed = sqlglot.parse(statement, dialect="spark" if dialect == "pyspark" else dialect)
    assert len(parsed) == 1
    texts = [literal.this for literal in parsed[0].find_all(exp.Literal) if literal.is_string]
    shape = parsed[0].transform(
        lambda node: exp.Literal.string("") if isinstance(node, exp.Literal) and node.is_string else node
    )
    return shape, texts


_texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20).filter(
    lambda text: text == text.strip()
)


@pytest.mark.parametrize("dialect", ["duckdb", "pyspark"])
@settings(max_examples=40, deadline=None)
@given(st.one_of(st.sampled_from(HOSTILE), _texts), st.integers(0, len(PLACES) - 1))
@example("'", 0)
@example("\\", 2)
@example("\\'", 5)
def test_hostile_words_are_literals(dialect, text, place):
    # Names are trimmed and consent types are in capitals: what is compared is what the rule means.
    text = text.strip() or "x"
    harmless, _ = _shape(_statement(PLACES[place]("x"), dialect), dialect)
    hostile, texts = _shape(_statement(PLACES[place](text), dialect), dialect)
    assert hostile == harmless
    assert any(text in found or text.upper() in found for found in texts)
