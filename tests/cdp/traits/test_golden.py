"""The golden record as a pure fold."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cdp.traits.apply import apply_traits
from cdp.traits.document import Document, TraitValue, open_document, seal_document
from cdp.traits.golden import MergeEdge, fold


def test_verified_then_priority_then_newest():
    low, high = TraitValue("low", at=9, priority=200), TraitValue("high", at=5, priority=10)
    documents: dict[int, Document] = {1: {"k": low}, 2: {"k": high}, 3: {"k": TraitValue("old", at=1, verified=True)}}
    assert fold(documents, [], now=100).values["k"].value == "old"
    assert fold({1: {"k": low}, 2: {"k": high}}, [], now=100).values["k"].rule == "source priority"
    assert fold({1: {"k": low}, 2: {"k": high}}, [], now=100).values["k"].value == "high"
    newest = fold({1: {"k": TraitValue("a", at=1)}, 2: {"k": TraitValue("b", at=2)}}, [], now=100).values["k"]
    assert (newest.value, newest.rule, newest.profile_id) == ("b", "newest", 2)


def test_expired_values_and_nulls_never_win():
    documents: dict[int, Document] = {
        1: {"k": TraitValue("live", at=1)},
        2: {"k": TraitValue("gone", at=2, expires_at=50)},
        3: {"k": TraitValue(None, at=3)},
    }
    assert fold(documents, [], now=49).values["k"].value == "gone"
    assert fold(documents, [], now=50).values["k"].value == "live"


def test_a_strategy_decides_only_among_older_values():
    documents: dict[int, Document] = {1: {"k": TraitValue("one", at=1)}, 2: {"k": TraitValue("two", at=2)}}
    for strategy, value in [("latest", "two"), ("oldest", "one"), ("target", "one"), ("source", "two")]:
        assert fold(documents, [MergeEdge(1, 1, 2, strategy, at=5)], now=9).values["k"].value == value
        assert fold(documents, [MergeEdge(1, 1, 2, strategy, at=1)], now=9).values["k"].value == "two"


values = st.builds(
    TraitValue, st.integers(), at=st.integers(0, 50), priority=st.sampled_from([10, 100]), verified=st.booleans()
)
documents = st.dictionaries(st.integers(1, 6), st.dictionaries(st.sampled_from("abc"), values), min_size=1)


@given(documents, st.randoms(use_true_random=False))
def test_without_strategies_neither_order_nor_merges_matter(given_: dict[int, Document], rng: object) -> None:
    ids = sorted(given_)
    shuffled = {key: given_[key] for key in sorted(ids, key=lambda _: rng.random())}  # type: ignore[attr-defined]
    edges = [MergeEdge(n, one, other, "rule", 99) for n, (one, other) in enumerate(pairwise(ids))]
    plain = {k: v.value for k, v in fold(given_, [], now=60).values.items()}
    assert {k: v.value for k, v in fold(shuffled, edges, now=60).values.items()} == plain


@given(documents)
def test_every_value_is_one_that_somebody_said(given_: dict[int, Document]) -> None:
    for key, golden in fold(given_, [], now=60).values.items():
        assert given_[golden.profile_id][key].value == golden.value


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=200), st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers()))
    )
)
def test_a_document_is_sealed_and_opened_unchanged(traits: dict[str, object]) -> None:
    document: Document = {}
    apply_traits(document, traits, at=5, source_id=1, priority=10)
    assert {key: value.value for key, value in document.items()} == {k: v for k, v in traits.items() if v is not None}
    assert open_document(seal_document(document)) == document


def test_an_older_value_does_not_overwrite_and_a_full_document_refuses_new_keys():
    document: Document = {}
    assert apply_traits(document, {"k": 1}, at=5, source_id=1, priority=10) == (True, False)
    assert apply_traits(document, {"k": 2}, at=4, source_id=1, priority=10) == (False, False)
    assert apply_traits(document, {"k": 3}, at=9, source_id=2, priority=100) == (False, False)
    assert apply_traits(document, {f"k{n}": n for n in range(1200)}, at=9, source_id=1, priority=10) == (True, True)
    assert len(document) == 1000
