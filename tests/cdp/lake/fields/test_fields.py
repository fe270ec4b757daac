"""Expressions of calculated fields: the same for one person in Python and for everybody on the engines."""

import math
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.core.clock import DAY
from cdp.lake.fields.evaluate import evaluate
from cdp.lake.fields.expression import expression
from cdp.lake.fields.functions import FUNCTIONS, OPERATORS
from cdp.lake.fields.parse import parse
from cdp.lake.fields.tree import Call, Constant, FieldError, Kind, Names, names_in
from tests.cdp.lake.fields.trees import KEYS, NAMES, NOW, PEOPLE, trees

DUCKDB = ibis.duckdb.connect()
ARROW: dict[Kind, Any] = {
    "number": pa.float64(), "text": pa.string(), "flag": pa.bool_(), "time": pa.int64(), "list": pa.list_(pa.string())
}  # fmt: skip
SCHEMA = pa.schema([("row", pa.int64()), *((key, ARROW[kind]) for key, kind in KEYS.items())])


def arrow(people: list[dict[str, Any]]) -> pa.Table:
    rows = [{"row": number, **person} for number, person in enumerate(people)]
    return pa.Table.from_pylist(rows, SCHEMA)


def on_engine(backend: Any, table: Any, nodes: list[Any]) -> list[list[Any]]:
    columns = {f"c{i}": expression(node, lambda name: table[name.key], now=NOW) for i, node in enumerate(nodes)}
    rows = backend.to_pyarrow(table.select("row", **columns).order_by("row")).to_pylist()
    return [[_plain(row[f"c{i}"]) for i in range(len(nodes))] for row in rows]


def in_python(people: list[dict[str, Any]], nodes: list[Any]) -> list[list[Any]]:
    return [[_plain(evaluate(node, person, now=NOW)) for node in nodes] for person in people]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return float(f"{value:.10g}") if isinstance(value, float) else value


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(people=PEOPLE, nodes=st.tuples(*(trees(kind, 3) for kind in ("number", "text", "flag", "time", "list"))))
def test_python_and_duckdb_agree(people, nodes):
    got = on_engine(DUCKDB, ibis.memtable(arrow(people)), list(nodes))
    assert got == in_python(people, list(nodes))


CORPUS = r"""number1 + number2
number1 - number2 * 3
number1 / number2
number1 % number2
-number1
number1 * 1e300 * 1e300
number1 = number2
text1 != text2
text1 < text2
time1 >= time2
number1 <= 2
flag1 = flag2
flag1 and flag2
flag1 or flag2
not flag1
if(flag1, number1, number2)
if(number1 > 0, text1, 'none')
if(flag1, list1, list2)
coalesce(text1, text2, 'x')
coalesce(number1, 0)
exists(list1)
exists(text1)
min(number1, number2)
max(number1, number2, 7)
min(time1, time2)
abs(number1)
round(number1)
round(number1 / 3, 2)
floor(number1)
ceil(number1)
lower(text1)
trim(text1)
length(text1)
length(list1)
concat(text1, '-', text2)
contains(text1, 'a')
contains(list1, 'a')
starts_with(text1, 'a')
ends_with(text1, text2)
days_since(time1)
days_between(time1, time2)
year(time1)
month(time1)
time1 < now()
time1 > date('2025-06-30')
upper(concat('a', 'é'))
concat('"; drop table people; --', text1)
lower('%_\\')
""".strip().splitlines()
FOLK = [
    {"number1": 7.0, "number2": 2.0, "text1": "abc", "text2": "bc", "flag1": True, "flag2": False, "time1": NOW - DAY,
     "time2": 5, "list1": ("a", "b"), "list2": ()},
    {"number1": -2.5, "number2": 0.0, "text1": " É ", "text2": "", "flag1": False, "flag2": None, "time1": NOW + 1,
     "time2": NOW, "list1": None, "list2": ("x",)},
    dict.fromkeys(KEYS),
    {"number1": 0.1, "number2": 1e308, "text1": "a'\"\\", "text2": "\\", "flag1": None, "flag2": True, "time1": 0,
     "time2": None, "list1": (), "list2": None},
]  # fmt: skip


def test_spark_and_python_agree(spark, tmp_path):
    nodes = [parse(text, NAMES) for text in CORPUS]
    used = {node.function for tree in nodes for node in _calls(tree)}
    assert used == {*FUNCTIONS, *OPERATORS}  # every function and operator is in the corpus
    pq.write_table(arrow(FOLK), tmp_path / "people.parquet")
    table = spark.read_parquet(str(tmp_path / "people.parquet"), table_name="fields_people")
    got = on_engine(spark, table, nodes)
    assert got == in_python(FOLK, nodes) == on_engine(DUCKDB, ibis.memtable(arrow(FOLK)), nodes)


def _calls(node: Any) -> Any:
    if isinstance(node, Call):
        yield node
        for argument in node.arguments:
            yield from _calls(argument)


PERSON = {"plan": "pro", "age": 40.0, "ltv": 600.0, "seen": NOW - 3 * DAY, "tags": ("a", "b"), "my key": 2.0}
WORLD = Names(
    traits={"plan": "text", "age": "number", "seen": "time", "tags": "list"},
    measures={"ltv": "number"},
    personal=lambda key: key == "email",
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 - -4", 11.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 3 - 2", 5.0),
        ("2 * 7 % 4", 2.0),
        ("ltv / age", 15.0),
        ("ltv / 0", None),
        ("ltv / (age - 40)", None),
        ("unknown_text = 'x'", None),
        ("not ltv > 500 or plan = 'pro'", True),
        ("not (ltv > 500 or plan = 'pro')", False),
        ("true or false and false", True),
        ("if(ltv > 500, 'gold', 'basic')", "gold"),
        ("days_since(seen)", 3.0),
        ("number(`my key`) + number('my key')", 4.0),
        ('concat(upper(plan), " \\"x\\"")', 'PRO "x"'),
        ("round(2.5) + round(-2.5)", 1.0),
        ("round(1.005 * 100, 1)", 100.5),
        ("length(tags)", 2.0),
        ("max(ltv, number(nothing))", 600.0),
        ("ltv + number(nothing)", None),
        ("coalesce(number(nothing), 5)", 5.0),
        ("date('2026-01-01T00:00:00Z') = now()", True),
        ("upper('straße ŉ')", "STRAẞE ŉ"),
    ],
)
def test_values_worked_out_by_hand(text, value):
    names = Names(traits={**WORLD.traits, "unknown_text": "text"}, measures=WORLD.measures, personal=WORLD.personal)
    assert evaluate(parse(text, names), PERSON, now=NOW) == value


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 1, "The expression is empty"),
        ("1 +", 4, "A value is missing before its end"),
        ("agee + 1", 1, "Did you mean `age`?"),
        ("3 + mystery", 5, "number(mystery), text(mystery)"),
        ("1 + email", 5, "`email` is personal"),
        ("text(email)", 6, "`email` is personal"),
        ("1 + plan", 3, "`a + b` takes (number, number), not number and text."),
        ("if(age, 1, 2)", 1, "not number, number and number."),
        ("rond(age)", 1, "Did you mean `round`?"),
        ("(1 + 2", 7, "A `)` is missing for what was opened at position 1."),
        ("max(1, 2", 9, "A comma or `)` is missing before its end."),
        ("max(1 2)", 7, "A comma or `)` is missing before `2`."),
        ("1 2", 3, "an operator is missing"),
        ("plan = 'abc", 8, "The text that starts here has no end"),
        ("1 < 2 < 3", 7, "join the comparisons with `and`"),
        ("round(age, age)", 1, "a whole number from 0 to 10"),
        ("round(age, 11)", 1, "a whole number from 0 to 10"),
        ("plan & plan", 6, "Write `and`."),
        ("number(plan)", 1, "`plan` is a text and no number."),
        ("1e999", 1, "too large"),
        ("date(plan)", 6, "takes a text such as"),
        ("date('soon')", 6, "takes a text such as"),
        ("number(1)", 8, "takes the key of a trait"),
        ("__import__('os')", 1, "There is no function `__import__`"),
        ("plan.upper()", 1, "There is no function `plan.upper`"),
        ("(" * 21 + "1" + ")" * 21, 21, "nested more than 20 deep"),
        ("not " * 30 + "true", 81, "nested more than 20 deep"),
        ("-" * 30 + "1", 21, "nested more than 20 deep"),
        ("+".join(["1"] * 150), 200, "more than 200 parts"),
        ("1" * 2001, 2001, "at most 2000 characters"),
    ],
)
def test_errors_say_where_and_what_would_be_right(text, position, message):
    with pytest.raises(FieldError) as raised:
        parse(text, WORLD)
    assert message in raised.value.message
    assert raised.value.details["position"] == position


@given(text=st.text(st.sampled_from("1a.('\"`),+-*/<=!> andortif\\"), max_size=40))
def test_whatever_is_written_is_a_tree_or_a_sentence(text):
    refused: FieldError | None = None
    try:
        value = evaluate(parse(text, WORLD), PERSON, now=NOW)
    except FieldError as error:
        refused = error
    if refused is None:
        assert not isinstance(value, float) or math.isfinite(value)
    else:
        assert 1 <= int(str(refused.details["position"])) <= len(text) + 1


def test_names_of_a_tree():
    tree = parse("if(ltv > 1, plan, text(other))", WORLD)
    assert [(name.key, name.origin, name.kind) for name in names_in(tree)] == [
        ("ltv", "measure", "number"),
        ("plan", "trait", "text"),
        ("other", "trait", "text"),
    ]
    assert tree == Call(
        "text",
        "if",
        (
            Call("flag", ">", (next(names_in(tree)), Constant("number", 1.0))),
            *list(names_in(tree))[1:],
        ),
    )
