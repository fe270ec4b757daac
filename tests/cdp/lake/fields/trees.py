"""Random typed expressions and people for them."""

from typing import Any

from hypothesis import strategies as st

from cdp.core.clock import DAY
from cdp.lake.fields.functions import FUNCTIONS, OPERATORS
from cdp.lake.fields.tree import Call, Constant, Kind, Name, Names, Node

NOW = 1_767_225_600_000_000
KEYS: dict[str, Kind] = {
    f"{kind}{number}": kind
    for kind in ("number", "text", "flag", "time", "list")
    for number in (1, 2)  # type: ignore[misc]
}
NAMES = Names(traits=KEYS)
_TEXTS = st.text(st.sampled_from("aAzß éΣ'\"\\%_\n.\t0İ€𝄞"), max_size=6)
_NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 1e308, -1e308, 1e-308, 9e15, 1e16, 3.0, 0.1]),
    st.integers(-1000, 1000).map(float),
    st.floats(-1e6, 1e6, allow_nan=False),
)
_TIMES = st.one_of(
    st.integers(0, 4000 * DAY), st.sampled_from([0, NOW, NOW + 1, NOW - DAY, NOW + 3 * DAY, 253_370_764_800_000_000])
)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "number": _NUMBERS,
    "text": _TEXTS,
    "flag": st.booleans(),
    "time": _TIMES,
    "list": st.lists(_TEXTS, max_size=3).map(tuple),
}
PEOPLE = st.lists(
    st.fixed_dictionaries({key: st.one_of(st.none(), VALUES[kind]) for key, kind in KEYS.items()}),
    min_size=1,
    max_size=8,
)
_FORMS = [
    (name, form) for name, function in {**OPERATORS, **FUNCTIONS}.items() for form in function.forms if name != "round"
]


def trees(kind: Kind, depth: int = 4) -> st.SearchStrategy[Node]:
    """Expressions that give `kind`."""
    leaves: list[st.SearchStrategy[Node]] = [
        st.sampled_from([Name(k, "trait", key) for key, k in KEYS.items() if k == kind])
    ]
    if kind != "list":
        leaves.append(VALUES[kind].map(lambda value: Constant(kind, value)))
    if depth == 0:
        return st.one_of(leaves)
    calls = [
        st.tuples(*(trees(taken, depth - 1) for taken in form.takes)).map(
            lambda given, name=name, gives=form.gives: Call(gives, name, given)
        )
        for name, form in _FORMS
        if form.gives == kind
    ]
    if kind == "number":
        calls.append(
            st.tuples(trees("number", depth - 1), st.integers(0, 10)).map(
                lambda given: Call("number", "round", (given[0], Constant("number", float(given[1]))))
            )
        )
    return st.one_of(*leaves, *calls) if calls else st.one_of(leaves)
