"""RFM and lifecycle stages by REST (002, S5, P10)."""

from typing import ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.core.clock import iso, now_us
from cdp.core.errors import Invalid, NotFound
from cdp.identities.lookup import find_person
from cdp.lake.measures.formula import STAGES
from cdp.lake.measures.named import NAMED, Named, rfm_segment
from cdp.profiles.models import Profile
from cdp.profiles.people import person_of
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint
from cdp.scoring.rfm import Analysis, Cell, Metrics, Scores, analyze_metrics, analyze_person, rfm_cells, stage_sizes

_MOST = 1e12


class RfmBody(msgspec.Struct, rename="camel"):
    """Whom to analyze: a person, or metrics: days since the last purchase, purchases, spent."""

    user_id: str | None = None
    profile_id: str | None = None
    metrics: Metrics | None = None


class NamedView(msgspec.Struct, frozen=True, rename="camel"):
    """A named segment: `recency` and `frequency` are the scores that it takes, bounds inclusive."""

    key: str
    label: str
    meaning: str
    recency: tuple[int, int]
    frequency: tuple[int, int]

    @classmethod
    def of(cls, named: Named) -> "NamedView":
        """The view of a segment."""
        return cls(named.key, named.label, named.meaning, named.recency, named.frequency)


class RfmView(msgspec.Struct, frozen=True, rename="camel"):
    """`scores` and `segment` are null for somebody who never bought. `rfm_score` is the three as in 545."""

    user_id: str | None
    profile_id: str | None
    metrics: Metrics | None
    scores: Scores | None
    rfm_score: str | None
    segment: NamedView | None
    buyers: int
    computed_at: str

    @classmethod
    def of(cls, found: Analysis, *, user_id: str | None, person: Profile | None, now: int) -> "RfmView":
        """The view of an analysis."""
        scores = found.scores
        return cls(
            user_id=user_id,
            profile_id=str(person.public_id) if person else None,
            metrics=found.metrics,
            scores=scores,
            rfm_score=f"{scores.r}{scores.f}{scores.m}" if scores else None,
            segment=NamedView.of(found.segment) if found.segment else None,
            buyers=found.buyers,
            computed_at=iso(now),
        )


class SegmentShare(msgspec.Struct, frozen=True, rename="camel"):
    """A named segment with its people, their share of the buyers, and their averages."""

    segment: NamedView
    people: int
    share: float
    spent: float
    average_days: float | None
    average_purchases: float | None


class Point(msgspec.Struct, frozen=True):
    """A point of the 3-D view: the people with these scores, and the key of their segment."""

    r: int
    f: int
    m: int
    people: int
    segment: str


class Distribution(msgspec.Struct, frozen=True, rename="camel"):
    """The ten named segments, and the 3-D points of which they are made."""

    buyers: int
    segments: list[SegmentShare]
    points: list[Point]
    computed_at: str


class StageShare(msgspec.Struct, frozen=True):
    """A lifecycle stage, what it means, its people and their share of everybody."""

    stage: str
    meaning: str
    people: int
    share: float


class Stages(msgspec.Struct, frozen=True, rename="camel"):
    """Everybody by lifecycle stage."""

    people: int
    stages: list[StageShare]
    computed_at: str


class AnalyzeRfm(Endpoint):
    """`segments/rfm/analyze`."""

    needs: ClassVar[dict[str, str]] = {"POST": "read"}

    @endpoint("RFM of a person", RfmView, body=RfmBody,
              example={"userId": "user123", "metrics": {"r": 10, "f": 5, "m": 500}}, tag="segments")  # fmt: skip
    def post(self, request: Request) -> Response:
        """Scores 1 to 5 among all buyers and the named segment, of the metrics that are given, else of the person's."""
        body = read_body(request, RfmBody)
        now = now_us()
        person = _person(body)
        if body.metrics is not None:
            if not all(0 <= value <= _MOST for value in msgspec.structs.astuple(body.metrics)[:2]):
                raise Invalid("`r` and `f` are numbers from 0 on.", details={"path": "metrics"})
            if not abs(body.metrics.m) <= _MOST:
                raise Invalid("`m` is an amount.", details={"path": "metrics.m"})
            found = analyze_metrics(body.metrics, now=now)
        elif person is not None:
            found = analyze_person(person.pk, now=now)
        else:
            raise Invalid("Give `userId`, `profileId` or `metrics`.", details={"path": "$"})
        return Response(RfmView.of(found, user_id=body.user_id, person=person, now=now))


class RfmDistribution(Endpoint):
    """`segments/rfm`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("RFM of everybody", Distribution, tag="segments")
    def get(self, _request: Request) -> Response:
        """The ten named segments with their people, and up to 125 points (r, f, m) for a 3-D view."""
        now = now_us()
        cells = rfm_cells(now=now)
        buyers = sum(cell.people for cell in cells)
        keyed = [(rfm_segment(cell.r, cell.f).key, cell) for cell in cells]
        return Response(
            Distribution(
                buyers=buyers,
                segments=[_share(named, [cell for key, cell in keyed if key == named.key], buyers) for named in NAMED],
                points=[Point(cell.r, cell.f, cell.m, cell.people, key) for key, cell in keyed],
                computed_at=iso(now),
            )
        )


class LifecycleDistribution(Endpoint):
    """`segments/lifecycle`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("Lifecycle stages of everybody", Stages, tag="segments")
    def get(self, _request: Request) -> Response:
        """Everybody is in exactly one stage."""
        now = now_us()
        sizes = stage_sizes(now=now)
        people = sum(sizes.values())
        stages = [StageShare(stage, STAGES[stage], size, _part(size, people)) for stage, size in sizes.items()]
        return Response(Stages(people, stages, iso(now)))


def _person(body: RfmBody) -> Profile | None:
    if body.profile_id is not None:
        return person_of(body.profile_id)
    if body.user_id is None:
        return None
    found = find_person("user_id", body.user_id)
    if found is None and body.metrics is None:
        raise NotFound("Nobody has this user id.")
    return found


def _share(named: Named, cells: list[Cell], buyers: int) -> SegmentShare:
    people = sum(cell.people for cell in cells)
    return SegmentShare(
        segment=NamedView.of(named),
        people=people,
        share=_part(people, buyers),
        spent=round(sum(cell.spent for cell in cells), 4),
        average_days=round(sum(cell.days * cell.people for cell in cells) / people, 2) if people else None,
        average_purchases=round(sum(cell.purchases * cell.people for cell in cells) / people, 2) if people else None,
    )


def _part(people: int, all_: int) -> float:
    return round(people / all_, 4) if all_ else 0.0
