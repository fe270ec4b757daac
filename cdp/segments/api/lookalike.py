"""Lookalike segments by REST (002)."""

from typing import ClassVar

import msgspec
from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_change
from cdp.access.rights import rights_of
from cdp.core.clock import iso, iso_or_none, now_us
from cdp.core.errors import Invalid, NotFound
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint
from cdp.segments.definition import segment_of
from cdp.segments.lookalike import Report, ask_lookalike
from cdp.segments.models import Lookalike, Segment
from cdp.segments.view import SegmentView, segment_views

USUAL = 0.7
EXAMPLE = {"sourceSegmentId": "vip", "name": "Lookalike - High Value", "similarityThreshold": USUAL}


class LookalikeBody(msgspec.Struct, rename="camel"):
    """The source by id or key, and from which similarity on people are members."""

    source_segment_id: str
    name: str
    similarity_threshold: float = USUAL


class LookalikeView(msgspec.Struct, frozen=True, rename="camel"):
    """A lookalike segment. `status`: waiting (for the worker), ready or failed; `report` is there when it is ready."""

    segment: SegmentView
    source_segment_id: str | None
    similarity_threshold: float
    status: str
    error: str | None
    report: Report | None
    asked_at: str
    built_at: str | None

    @classmethod
    def of(cls, row: Lookalike) -> "LookalikeView":
        """The view of a row."""
        return cls(
            segment=segment_views([row.segment], now=now_us())[0],
            source_segment_id=str(row.source.public_id) if row.source else None,
            similarity_threshold=row.threshold,
            status=row.status,
            error=row.error or None,
            report=msgspec.convert(row.report, Report) if row.report else None,
            asked_at=iso(row.asked_at),
            built_at=iso_or_none(row.built_at),
        )


class CreateLookalike(Endpoint):
    """`segments/lookalike/create`."""

    needs: ClassVar[dict[str, str]] = {"POST": "define_segments"}

    @endpoint(
        "Create a lookalike segment",
        LookalikeView,
        body=LookalikeBody,
        statuses={201: "Made; its members follow within a minute."},
        example=EXAMPLE,
        tag="segments",
    )
    def post(self, request: Request) -> Response:
        """People who are like those of the source, and not among them. 409 when the source has too few people."""
        body = read_body(request, LookalikeBody)
        if not 0 < len(body.name.strip()) <= 200:
            raise Invalid("Give a `name` of up to 200 characters.", details={"path": "name"})
        source = segment_of(body.source_segment_id)
        with transaction.atomic():
            made = ask_lookalike(source, name=body.name, threshold=body.similarity_threshold)
            ids = [made.public_id]
            record_change(
                rights_of(request).actor, action="add", object_type="segment", object_ids=ids, fields=["name"]
            )
        return Response(_view(made), status=201)


class OneLookalike(Endpoint):
    """`segments/:id/lookalike`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments"}

    @endpoint("How a lookalike segment was found", LookalikeView, tag="segments")
    def get(self, _request: Request, segment_id: str) -> Response:
        """With the features that explain it, and how well it finds held-out members of the source."""
        return Response(_view(segment_of(segment_id)))


def _view(segment: Segment) -> LookalikeView:
    row = Lookalike.objects.select_related("segment", "source").filter(segment=segment).first()
    if row is None:
        raise NotFound("This is no lookalike segment.")
    return LookalikeView.of(row)
