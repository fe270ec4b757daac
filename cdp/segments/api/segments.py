"""Segments by REST (003, 002): create, list, read, change, delete, compute, size (S1, S4)."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec
from django.db import transaction
from django.db.models import Q
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_change, record_read
from cdp.access.rights import rights_of
from cdp.core.clock import iso_or_none, now_us
from cdp.core.errors import Invalid
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter
from cdp.segments.definition import ask_for_sweep, define, delete_segment, segment_of
from cdp.segments.heads import freshness
from cdp.segments.models import Segment
from cdp.segments.rule_rights import holds_protected
from cdp.segments.types import TYPES, segment_type
from cdp.segments.view import SegmentView, segment_views

EXAMPLE = {
    "name": "High value in Germany",
    "type": "rule-based",
    "rules": {
        "operator": "AND",
        "conditions": [
            {"field": "country", "operator": "=", "value": "DE"},
            {"event": "purchase", "aggregate": "sum", "property": "revenue", "operator": ">", "value": 150,
             "within": "90d"},
        ],
    },
}  # fmt: skip


class SegmentBody(msgspec.Struct, rename="camel"):
    """What a segment is. `rules` is the rule; 002's `conditions` (all must hold) may stand in its place.

    Without `type` it is rule-based. Without `key` one is made of the name; it stays for ever.
    """

    name: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    rules: Any = UNSET
    conditions: list[Any] | UnsetType = UNSET
    operator: str | UnsetType = UNSET

    def fields(self) -> dict[str, Any]:
        """What was given, by the names of `define`. Raises Invalid for a rule that is given twice, or is too long."""
        if self.rules is not UNSET and self.conditions is not UNSET:
            raise Invalid("Give `rules` or `conditions`, not both.", details={"path": "conditions"})
        for name, most in (("name", 200), ("description", 2000)):
            value = getattr(self, name)
            if value is not UNSET and len(value) > most:
                raise Invalid(f"`{name}` may have {most} characters.", details={"path": name})
        names = ("name", "key", "description", "type", "rules")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not UNSET}
        if self.conditions is not UNSET:
            operator = "AND" if self.operator is UNSET else self.operator
            given["rules"] = {"operator": operator, "conditions": self.conditions}
        return given


class SizeView(msgspec.Struct, frozen=True, rename="camel"):
    """How many people are in the segment, as of `computed_at`; `freshness` as in the segment."""

    size: int
    computed_at: str | None
    freshness: float
    status: str


class Segments(Endpoint):
    """`segments`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments", "POST": "define_segments"}

    @endpoint(
        "List segments",
        Page[SegmentView],
        parameters=[
            parameter("type", "Only this type.", enum=tuple(TYPES)),
            parameter("search", "Only those with this text in their name or key."),
            *PAGE_PARAMETERS,
        ],
        tag="segments",
    )
    def get(self, request: Request) -> Response:
        """By name, each with its size and how fresh it is."""
        asked = window(request)
        rows = Segment.objects.all()
        if kind := request.query_params.get("type"):
            rows = rows.filter(type=segment_type(kind) or kind)
        if text := request.query_params.get("search"):
            rows = rows.filter(Q(name__icontains=text) | Q(key__icontains=text))
        page = list(rows[asked.offset : asked.offset + asked.limit])
        return Response(asked.page_of(_views(request, page), total=rows.count()))

    @endpoint(
        "Create a segment",
        SegmentView,
        body=SegmentBody,
        statuses={201: "Created; a rule is computed within seconds."},
        example=EXAMPLE,
        tag="segments",
    )
    def post(self, request: Request) -> Response:
        """A rule is followed from now on. A static segment begins empty: add people by `members`."""
        return Response(_view(request, _defined(request, "add", Segment())), status=201)


class OneSegment(Endpoint):
    """`segments/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments", "PUT": "define_segments", "PATCH": "define_segments",
                                       "DELETE": "define_segments"}  # fmt: skip

    @endpoint("One segment", SegmentView, tag="segments")
    def get(self, request: Request, segment_id: str) -> Response:
        """By its id or its key. What its rule says of people is masked for those who may not see it."""
        return Response(_view(request, segment_of(segment_id)))

    @endpoint("Change a segment", SegmentView, body=SegmentBody, example=EXAMPLE, tag="segments")
    def put(self, request: Request, segment_id: str) -> Response:
        """Sets what is given and leaves the rest. With a new rule everybody is looked at within seconds.

        Until then the members stay as they are.
        """
        return Response(_view(request, _defined(request, "change", segment_of(segment_id))))

    @endpoint("Change a part of a segment", SegmentView, body=SegmentBody, example=EXAMPLE, tag="segments")
    def patch(self, request: Request, segment_id: str) -> Response:
        """The same as PUT."""
        return self.put(request, segment_id)

    @endpoint("Delete a segment", None, tag="segments")
    def delete(self, request: Request, segment_id: str) -> Response:
        """With its members and its history. 409 while another segment or an audience uses it."""
        delete_segment(segment_of(segment_id), actor=rights_of(request).actor)
        return Response(status=204)


class ComputeSegment(Endpoint):
    """`segments/:id/compute`."""

    needs: ClassVar[dict[str, str]] = {"POST": "define_segments"}

    @endpoint("Compute a segment", SegmentView, statuses={202: "It will be computed within seconds."}, tag="segments")
    def post(self, request: Request, segment_id: str) -> Response:
        """Looks at everybody anew. Segments follow the data by themselves: this is for who does not want to wait."""
        return Response(_view(request, ask_for_sweep(segment_of(segment_id))), status=202)


class SegmentSizeNow(Endpoint):
    """`segments/:id/size`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments"}

    @endpoint("Size of a segment", SizeView, tag="segments")
    def get(self, _request: Request, segment_id: str) -> Response:
        """How many people are in it."""
        now = now_us()
        segment = segment_of(segment_id)
        view = SizeView(
            size=segment.size,
            computed_at=iso_or_none(segment.computed_at),
            freshness=freshness([segment], now=now)[segment.pk],
            status=segment.status(now=now),
        )
        return Response(view)


def _defined(request: Request, action: str, segment: Segment) -> Segment:
    """The segment as the body says, recorded in the same transaction."""
    given = read_body(request, SegmentBody).fields()
    with transaction.atomic():
        made = define(segment, given, rights=rights_of(request))
        _record(request, action, made, given)
    return made


def _record(request: Request, action: str, segment: Segment, fields: Iterable[str]) -> None:
    actor, ids = rights_of(request).actor, [segment.public_id]
    record_change(actor, action=action, object_type="segment", object_ids=ids, fields=fields)


def _view(request: Request, segment: Segment) -> SegmentView:
    return _views(request, [segment])[0]


def _views(request: Request, segments: Sequence[Segment]) -> list[SegmentView]:
    rights = rights_of(request)
    held = [segment.public_id for segment in segments if holds_protected(segment.rules)]
    record_read(rights, object_type="segment", object_ids=held, fields=["rules"], request=request)
    return segment_views(segments, now=now_us(), rights=rights)
