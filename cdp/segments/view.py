"""A segment as the API shows it: 003's Segment, with how fresh it is beside it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from cdp.access.rights import NOTHING, Rights
from cdp.core.clock import iso, iso_or_none
from cdp.segments.heads import freshness
from cdp.segments.models import Segment
from cdp.segments.rule_rights import shown_rule


class SegmentView(msgspec.Struct, frozen=True, rename="camel"):
    """003's Segment. `words` is the rule in plain English; `size` counts the people at `computed_at`.

    `status`: ready, waiting (to be computed), computing or failed; a failed segment keeps its members and says why in
    `error`. `freshness` is seconds since the oldest write that the segment has not seen: 0 when it has seen all.
    `last_computed` is the same time as `computed_at`; `swept_at` is when everybody was last looked at.
    """

    id: str
    key: str
    name: str
    description: str
    type: str
    rules: Any
    words: str
    size: int
    status: str
    freshness: float
    error: str | None
    error_at: str | None
    windowed: bool
    created_at: str
    updated_at: str
    computed_at: str | None
    last_computed: str | None
    swept_at: str | None


def segment_views(segments: Sequence[Segment], *, now: int, rights: Rights = NOTHING) -> list[SegmentView]:
    """The views of `segments` at `now` (µs), their rules as the holder of `rights` sees them: one query for all."""
    ages = freshness(segments, now=now)
    rules = {segment.pk: shown_rule(segment.rules, segment.words, rights) for segment in segments}
    return [
        SegmentView(
            id=str(segment.public_id),
            key=segment.key,
            name=segment.name,
            description=segment.description,
            type=segment.type,
            rules=rules[segment.pk][0],
            words=rules[segment.pk][1],
            size=segment.size,
            status=segment.status(now=now),
            freshness=ages[segment.pk],
            error=segment.error or None,
            error_at=iso_or_none(segment.error_at),
            windowed=segment.windowed or segment.relative,
            created_at=iso(segment.created_at),
            updated_at=iso(segment.updated_at),
            computed_at=iso_or_none(segment.computed_at),
            last_computed=iso_or_none(segment.computed_at),
            swept_at=iso_or_none(segment.swept_at or None),
        )
        for segment in segments
    ]
