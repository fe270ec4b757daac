"""The size of a rule while it is built, by REST (S3)."""

from typing import Any, ClassVar

import msgspec
from msgspec import UNSET
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.rights import rights_of
from cdp.core.clock import iso, now_us
from cdp.core.errors import Invalid
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint
from cdp.segments.api.segments import EXAMPLE
from cdp.segments.estimate import MOST, estimate


class EstimateBody(msgspec.Struct):
    """The rule as in a segment, and how many people to name."""

    rules: Any = UNSET
    conditions: Any = UNSET
    sample: int = 0


class EstimateView(msgspec.Struct, frozen=True, rename="camel"):
    """`size` people of `people` in all, exactly. `sample` are ids of profiles."""

    size: int
    people: int
    words: str
    sample: list[str]
    computed_at: str


class EstimateSegment(Endpoint):
    """`segments/estimate`."""

    needs: ClassVar[dict[str, str]] = {"POST": "read_segments"}

    @endpoint("Estimate a rule", EstimateView, body=EstimateBody, example={"rules": EXAMPLE["rules"]}, tag="segments")
    def post(self, request: Request) -> Response:
        """How many people a rule that is not saved would have: counted over everything that was processed."""
        body = read_body(request, EstimateBody)
        rule = body.rules if body.rules is not UNSET else body.conditions
        if rule is UNSET:
            raise Invalid("Give the rule as `rules`, or as `conditions`.", details={"path": "rules"})
        if not 0 <= body.sample <= MOST:
            raise Invalid(f"`sample` must be from 0 to {MOST}.", details={"path": "sample"})
        now = now_us()
        found = estimate(rule, now=now, sample=body.sample, rights=rights_of(request))
        ids = [str(public_id) for public_id in found.sample]
        return Response(EstimateView(found.size, found.people, found.words, ids, iso(now)))
