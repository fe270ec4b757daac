"""How segments intersect: every pair of up to `MOST` segments in one statement, at whole generations."""

from collections.abc import Sequence

import msgspec

from cdp.core.errors import Invalid
from cdp.history.reading import database
from cdp.segments.models import Segment

MOST = 20


class Overlap(msgspec.Struct, frozen=True, rename="camel"):
    """`common` people are in both. `jaccard` is common / either; `of_first` and `of_second` the share of each side.

    Shares are from 0 to 1, rounded to 6 decimals, and 0 where there is nobody.
    """

    first: str
    second: str
    common: int
    either: int
    jaccard: float
    of_first: float
    of_second: float


class OverlapMatrix(msgspec.Struct, frozen=True, rename="camel"):
    """`counts[i][j]` people are in both `segments[i]` and `segments[j]`; the diagonal holds the sizes."""

    segments: list[str]
    counts: list[list[int]]
    pairs: list[Overlap]


def overlap_matrix(segments: Sequence[Segment]) -> OverlapMatrix:
    """All pairs of `segments`: one query. Raises Invalid for more than `MOST`.

    Each person gets one bit per segment; people with the same bits are counted together.
    """
    if not 1 <= len(segments) <= MOST:
        raise Invalid(f"Name from 1 to {MOST} segments.", details={"path": "segments"})
    counts = [[0] * len(segments) for _ in segments]
    for mask, people in _masks(segments):
        places = [place for place in range(len(segments)) if mask >> place & 1]
        for first in places:
            for second in places:
                counts[first][second] += people
    pairs = [
        pair(segments[i].key, segments[j].key, counts[i][i], counts[j][j], counts[i][j])
        for i in range(len(segments))
        for j in range(i + 1, len(segments))
    ]
    return OverlapMatrix([segment.key for segment in segments], counts, pairs)


def overlap(first: Segment, second: Segment) -> Overlap:
    """How two segments intersect: one query."""
    if first.pk == second.pk:
        return pair(first.key, second.key, first.size, second.size, first.size)
    return overlap_matrix([first, second]).pairs[0]


def _masks(segments: Sequence[Segment]) -> list[tuple[int, int]]:
    bits = " ".join(f"when {segment.pk:d} then {1 << place:d}" for place, segment in enumerate(segments))
    sql = f"""
        select mask, count(*) from (
            select sum(case m.segment_id {bits} end) as mask from segments_membership m
            join segments_segment s on s.id = m.segment_id
            where m.from_gen <= s.generation and (m.to_gen is null or m.to_gen > s.generation) and m.segment_id {{in}}
            group by m.person_id) people
        group by mask"""
    rows = database().rows_in(sql, [segment.pk for segment in segments], "bigint")
    return [(int(mask), people) for mask, people in rows]


def pair(first: str, second: str, size: int, other: int, common: int) -> Overlap:
    """The overlap of two sets of these sizes, of which `common` people are in both."""
    either = size + other - common
    return Overlap(first, second, common, either, _share(common, either), _share(common, size), _share(common, other))


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
