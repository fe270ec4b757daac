"""Overlap is set intersection, for every pair at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from cdp.core.errors import Invalid
from cdp.segments.membership import add_members, remove_members
from cdp.segments.overlap import MOST, Overlap, overlap, overlap_matrix
from tests.cdp.segments.making import a_list, many_people


class TestOverlap(TestCase):
    """The law: counts[i][j] = |i ∩ j|."""

    @given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=4))
    @settings(max_examples=15, deadline=None)
    def test_every_pair_is_the_intersection(self, sets: list[set[int]]) -> None:
        people = many_people(8)
        segments = [a_list(f"s{number}") for number in range(len(sets))]
        for segment, chosen in zip(segments, sets, strict=True):
            add_members(segment, people, actor="test")
            remove_members(segment, [people[n] for n in range(8) if n not in chosen])
            segment.refresh_from_db()
        found = overlap_matrix(segments)
        assert found.segments == [segment.key for segment in segments]
        assert found.counts == [[len(a & b) for b in sets] for a in sets]
        for pair in found.pairs:
            a, b = (sets[found.segments.index(key)] for key in (pair.first, pair.second))
            assert (pair.common, pair.either) == (len(a & b), len(a | b))
            assert pair.jaccard == (round(len(a & b) / len(a | b), 6) if a | b else 0.0)


@pytest.mark.django_db
def test_two_segments_and_one_with_itself() -> None:
    people = many_people(3)
    first, second = a_list("first"), a_list("second")
    add_members(first, people[:2], actor="test")
    add_members(second, people[1:], actor="test")
    first.refresh_from_db()
    second.refresh_from_db()
    assert overlap(first, second) == Overlap("first", "second", 1, 3, 0.333333, 0.5, 0.5)
    assert overlap(first, first) == Overlap("first", "first", 2, 2, 1.0, 1.0, 1.0)


@pytest.mark.django_db
def test_too_many_at_once() -> None:
    segment = a_list()
    with pytest.raises(Invalid, match=f"from 1 to {MOST}"):
        overlap_matrix([segment] * (MOST + 1))
