"""Lookalike segments (S6): who is like the people of a source segment, by a model that says what it went by.

A logistic regression tells the members of the source from the others by the features of `cdp.segments.features`.
Classes weigh alike, so a similarity of 0.5 is "as like them as like the others". Three tenths of both are held out of
training: the report says how well the model finds held-out members. Its lift is the share of held-out members that the
threshold finds, divided by the share of everybody that it finds: 1 is chance.
"""

import math
from typing import TYPE_CHECKING, Any

import msgspec

from cdp.core.clock import now_us
from cdp.core.errors import Conflict, DomainError, Invalid
from cdp.history.snapshot import snapshot
from cdp.segments.definition import define
from cdp.segments.features import Plan, feature_batches, is_in, plan_features
from cdp.segments.generations import Cause
from cdp.segments.members import members_table
from cdp.segments.membership import replace
from cdp.segments.models import Lookalike, Segment

if TYPE_CHECKING:
    import numpy as np
    from sklearn.pipeline import Pipeline

    from cdp.lake.engine import Snapshot

FEWEST = 50
"""Members of a source, and others to tell them from: with fewer a held-out test says nothing."""
SAMPLE = 50_000
HELD_OUT = 0.3
SHOWN = 10
_SEED = 20_260_101


class Feature(msgspec.Struct, frozen=True, rename="camel"):
    """A feature with its weight (of the standardised value; above 0: members have more), and the average of both sides.

    Averages of amounts and counts are of their logarithms (ln(1 + x)).
    """

    feature: str
    weight: float
    source_average: float
    others_average: float


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """What the model found. Shares are of 1; `lift` is at the threshold, None when it finds nobody.

    `auc`: the chance that a held-out member is more similar than a held-out other.
    """

    source_size: int
    others: int
    chosen: int
    chosen_share: float
    held_out: int
    held_out_found: float
    lift: float | None
    auc: float
    features: list[Feature]


def ask_lookalike(source: Segment, *, name: str, threshold: float) -> Segment:
    """Make a lookalike segment of `source`; the worker finds its members. Raises Invalid, Conflict if it is small."""
    if not math.isfinite(threshold) or not 0 < threshold < 1:
        raise Invalid("`similarityThreshold` is a number between 0 and 1.", details={"path": "similarityThreshold"})
    if source.size < FEWEST:
        raise Conflict(too_small(source.size), code="source_too_small", details={"path": "sourceSegmentId"})
    made = define(Segment(), {"name": name, "type": "lookalike"})
    Lookalike.objects.create(segment=made, source=source, threshold=threshold, asked_at=now_us())
    return made


def too_small(size: int) -> str:
    """Why a source of that size cannot be used."""
    return f"The source segment has {size} people: a lookalike needs at least {FEWEST} to learn from and to test with."


def waiting() -> bool:
    """Whether a lookalike waits to be built: one query."""
    return Lookalike.objects.filter(status=Lookalike.Status.WAITING).exists()


def build_waiting() -> int:
    """Build every lookalike that waits, oldest first; returns how many. What fails says why on its row."""
    done = 0
    for row in Lookalike.objects.filter(status=Lookalike.Status.WAITING).order_by("asked_at"):
        try:
            build_lookalike(row)
        except DomainError as error:
            Lookalike.objects.filter(pk=row.pk).update(status=Lookalike.Status.FAILED, error=error.message)
        done += 1
    return done


def build_lookalike(row: Lookalike) -> Report:
    """Find the members and write them, a whole generation at once. Raises Conflict when there is too little to learn.

    Two queries go over everybody, in constant memory: one to learn from a sample, one to choose.
    """
    import numpy as np

    if row.source is None:
        raise Conflict("The source segment is gone.", code="source_gone")
    members = np.sort(members_table([row.source.key]).column("person").to_numpy())
    now = now_us()
    with snapshot() as snap:
        plan = plan_features(snap)
        others = plan.people - len(members)
        if len(members) < FEWEST:
            raise Conflict(too_small(len(members)), code="source_too_small")
        if others < FEWEST:
            raise Conflict(f"Only {max(others, 0)} people are not in the source segment: too few to choose from.")
        learnt = _learn(snap, plan, members, now=now)
        chosen = _choose(snap, plan, members, learnt.model, threshold=row.threshold, now=now)
    report = learnt.report(row.threshold, source=len(members), others=others, chosen=len(chosen))
    replace(row.segment, chosen, cause=Cause.MODEL)
    Segment.objects.filter(pk=row.segment_id).update(words=_in_words(row.source, row.threshold, report))
    Lookalike.objects.filter(pk=row.pk).update(
        status=Lookalike.Status.READY, report=msgspec.to_builtins(report), error="", built_at=now_us()
    )
    return report


class _Learnt(msgspec.Struct, frozen=True):
    """A model, and the similarities that it gives to those who were held out."""

    model: "Pipeline"
    words: list[str]
    source_average: "np.ndarray[Any, Any]"
    others_average: "np.ndarray[Any, Any]"
    held_members: "np.ndarray[Any, Any]"
    held_others: "np.ndarray[Any, Any]"

    def report(self, threshold: float, *, source: int, others: int, chosen: int) -> Report:
        """What the model found at `threshold`."""
        from sklearn.metrics import roc_auc_score

        found = float((self.held_members >= threshold).mean())
        wrongly = float((self.held_others >= threshold).mean())
        everybody = (found * source + wrongly * others) / (source + others)
        labels = [1] * len(self.held_members) + [0] * len(self.held_others)
        scores = [*self.held_members.tolist(), *self.held_others.tolist()]
        return Report(
            source_size=source,
            others=others,
            chosen=chosen,
            chosen_share=round(chosen / others, 4),
            held_out=len(self.held_members),
            held_out_found=round(found, 4),
            lift=round(found / everybody, 2) if everybody else None,
            auc=round(float(roc_auc_score(labels, scores)), 4),
            features=self._features(),
        )

    def _features(self) -> list[Feature]:
        weights = self.model[-1].coef_[0]
        order = sorted(range(len(weights)), key=lambda at: (-abs(weights[at]), at))[:SHOWN]
        return [
            Feature(
                self.words[at],
                round(float(weights[at]), 4),
                round(float(self.source_average[at]), 4),
                round(float(self.others_average[at]), 4),
            )
            for at in order
        ]


def _learn(snap: "Snapshot", plan: Plan, members: "np.ndarray[Any, Any]", *, now: int) -> _Learnt:
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, labels = _sample(snap, plan, members, now=now)
    held = np.random.default_rng(_SEED).random(len(labels)) < HELD_OUT
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    model.fit(rows[~held], labels[~held])
    similar = model.predict_proba(rows[held])[:, 1]
    return _Learnt(
        model=model,
        words=plan.words,
        source_average=rows[labels].mean(axis=0),
        others_average=rows[~labels].mean(axis=0),
        held_members=similar[labels[held]],
        held_others=similar[~labels[held]],
    )


def _sample(
    snap: "Snapshot", plan: Plan, members: "np.ndarray[Any, Any]", *, now: int
) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Up to about `SAMPLE` members and as many others with their labels, always the same ones of the same people."""
    import numpy as np

    shares = (min(1.0, SAMPLE / max(plan.people - len(members), 1)), min(1.0, SAMPLE / max(len(members), 1)))
    ids, rows, labels = [], [], []
    for people, features in feature_batches(snap, plan, now=now):
        member = is_in(people, members)
        lot = (people.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(11)) / float(1 << 53)
        taken = lot < np.where(member, shares[1], shares[0])
        ids.append(people[taken])
        rows.append(features[taken])
        labels.append(member[taken])
    found, said = np.concatenate(rows), np.concatenate(labels)
    if min(said.sum(), (~said).sum()) < FEWEST:
        raise Conflict("History knows too few people of the source segment, or too few others. Try again later.")
    order = np.argsort(np.concatenate(ids))  # an engine gives people in any order
    return found[order], said[order]


def _choose(
    snap: "Snapshot", plan: Plan, members: "np.ndarray[Any, Any]", model: "Pipeline", *, threshold: float, now: int
) -> list[int]:
    chosen: list[int] = []
    for people, features in feature_batches(snap, plan, now=now):
        if len(people):
            like = (model.predict_proba(features)[:, 1] >= threshold) & ~is_in(people, members)
            chosen += people[like].tolist()
    return sorted(chosen)


def _in_words(source: Segment, threshold: float, report: Report) -> str:
    by = ", ".join(feature.feature for feature in report.features[:3])
    lift = "" if report.lift is None else f" It finds held-out members {report.lift:g} times as often as chance."
    return f"People who are at least {threshold:g} similar to those of “{source.name}”, mostly by {by}.{lift}"
