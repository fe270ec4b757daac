"""What changed in a segment by REST: sizes over time, entries and exits with their cause, overlap (S1, S7)."""

from typing import ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.core.clock import DAY, HOUR, iso, now_us
from cdp.core.errors import Invalid
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import CursorPage, limit_of
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter
from cdp.segments.definition import segment_of
from cdp.segments.history import changes_after, sizes
from cdp.segments.models import Segment
from cdp.segments.overlap import MOST, Overlap, OverlapMatrix, overlap, overlap_matrix

CURSOR = parameter("cursor", "Where to go on: `next` of the page before; empty for the first page.")
_DAYS = 30


class SizePoint(msgspec.Struct, frozen=True, rename="camel"):
    """The size at the end of the hour that begins at `at`, and what came and went in it."""

    at: str
    size: int
    entered: int
    left: int


class SegmentHistoryView(msgspec.Struct, frozen=True):
    """Oldest first; hours in which nothing changed are left out."""

    data: list[SizePoint]


class ChangeView(msgspec.Struct, frozen=True, rename="camel"):
    """An entry or an exit. `profile_id` is null once the person was deleted.

    `cause`: event, trait (or consent), time (a window moved on, or others changed their rank), segment (one that the
    rule refers to), definition, merge, manual, model, deleted, initial. `historical`: only imported history caused it,
    so nothing should be triggered by it.
    """

    id: str
    profile_id: str | None
    change: str
    cause: str
    historical: bool
    at: str


class OverlapBody(msgspec.Struct):
    """Ids or keys of the segments to compare."""

    segments: list[str]


class SegmentHistory(Endpoint):
    """`segments/:id/history`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments"}

    @endpoint(
        "Sizes of a segment over time",
        SegmentHistoryView,
        parameters=[parameter("days", f"How far to look back; {_DAYS} unless said otherwise, 400 at most.", kind=int)],
        tag="segments",
    )
    def get(self, request: Request, segment_id: str) -> Response:
        """One point for each hour in which somebody entered or left."""
        text = request.query_params.get("days", str(_DAYS))
        if not text.isdecimal() or not 1 <= int(text) <= 400:
            raise Invalid("`days` must be a whole number from 1 to 400.", details={"path": "days"})
        rows = sizes(segment_of(segment_id), since=now_us() - int(text) * DAY)
        points = [SizePoint(iso(row.hour * HOUR), row.size, row.entries, row.exits) for row in rows]
        return Response(SegmentHistoryView(points))


class SegmentChanges(Endpoint):
    """`segments/:id/changes`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments"}

    @endpoint(
        "Entries and exits of a segment",
        CursorPage[ChangeView],
        parameters=[PAGE_PARAMETERS[1], CURSOR],
        tag="segments",
    )
    def get(self, request: Request, segment_id: str) -> Response:
        """Oldest first, each once. `next` is never null: keep it, and ask again later for what came since."""
        segment = segment_of(segment_id)
        cursor = request.query_params.get("cursor", "")
        if cursor and not (cursor.isdecimal() and len(cursor) < 19):
            raise Invalid("This cursor is none of ours: begin without one.", code="invalid_cursor")
        page = changes_after(segment, int(cursor or 0), limit=limit_of(request))
        views = [
            ChangeView(str(row.id), row.public_id, row.change, row.cause, row.historical, iso(row.at)) for row in page
        ]
        return Response(CursorPage(data=views, next=str(page[-1].id) if page else cursor or "0"))


class SegmentOverlap(Endpoint):
    """`segments/:id/overlap/:other`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments"}

    @endpoint("Overlap of two segments", Overlap, tag="segments")
    def get(self, _request: Request, segment_id: str, other_id: str) -> Response:
        """How many people are in both."""
        return Response(overlap(segment_of(segment_id), segment_of(other_id)))


class SegmentsOverlap(Endpoint):
    """`segments/overlap`."""

    needs: ClassVar[dict[str, str]] = {"POST": "read_segments"}

    @endpoint(
        "Overlap of segments",
        OverlapMatrix,
        body=OverlapBody,
        example={"segments": ["vip", "in-germany", "bought-twice"]},
        tag="segments",
    )
    def post(self, request: Request) -> Response:
        """Every pair of up to 20 segments."""
        named = read_body(request, OverlapBody).segments
        if not 1 <= len(named) <= MOST:
            raise Invalid(f"Name from 1 to {MOST} segments.", details={"path": "segments"})
        found: dict[int, Segment] = {segment.pk: segment for segment in map(segment_of, named)}
        return Response(overlap_matrix(list(found.values())))
