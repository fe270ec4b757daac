"""Scores and value of a person, as the API answers them."""

import msgspec

from cdp.core.clock import iso
from cdp.customer360.parts import Parts
from cdp.scoring.engagement import Engagement
from cdp.scoring.value import LifetimeValue


class EngagementPart(msgspec.Struct, frozen=True, rename="camel"):
    """The engagement score and its parts, 0 to 100 (`cdp.scoring.engagement` has the formula)."""

    overall_score: int
    email_score: int
    web_score: int
    portal_score: int
    recency_score: int
    frequency_score: int
    monetary_score: int
    computed_at: str

    @classmethod
    def of(cls, score: Engagement, *, now: int) -> "EngagementPart":
        """The part that shows `score`, computed at `now` (µs)."""
        return cls(
            overall_score=score.overall,
            email_score=score.email,
            web_score=score.web,
            portal_score=score.portal,
            recency_score=score.recency,
            frequency_score=score.frequency,
            monetary_score=score.monetary,
            computed_at=iso(now),
        )


class LifetimePart(msgspec.Struct, frozen=True, rename="camel"):
    """Lifetime value in units of `currency`. `predicted_value` and `churn_probability` are null until a model exists.

    `purchase_frequency` is purchases a month, `customer_tenure` days since first seen; `average_purchase_value` is null
    when purchases were made in several currencies, all of which `by_currency` has.
    """

    current_value: float
    predicted_value: float | None
    total_purchases: int
    average_purchase_value: float | None
    purchase_frequency: float
    customer_tenure: int
    churn_probability: float | None
    currency: str | None
    by_currency: dict[str, float]
    computed_at: str

    @classmethod
    def of(cls, value: LifetimeValue, *, now: int) -> "LifetimePart":
        """The part that shows `value`, computed at `now` (µs)."""
        return cls(
            current_value=value.current,
            predicted_value=None,
            total_purchases=value.purchases,
            average_purchase_value=value.average,
            purchase_frequency=value.frequency,
            customer_tenure=value.tenure,
            churn_probability=None,
            currency=value.currency,
            by_currency=value.by_currency,
            computed_at=iso(now),
        )


class ProfileScorePart(msgspec.Struct, frozen=True, rename="camel"):
    """The profile score and its parts, 0 to 100 (`cdp.scoring.profile` has the formula), and the lifecycle stage."""

    score: int
    completeness: int
    recency: int
    engagement: int
    value: int
    lifecycle_stage: str
    computed_at: str

    @classmethod
    def of(cls, parts: Parts) -> "ProfileScorePart":
        """The part that shows the score of `parts`."""
        score = parts.score
        return cls(
            score=score.score,
            completeness=score.completeness,
            recency=score.recency,
            engagement=score.engagement,
            value=score.value,
            lifecycle_stage=str(parts.measures["lifecycleStage"]),
            computed_at=iso(parts.now),
        )
