"""The profile score (P10): how good a profile is to work with, 0 to 100, in four parts of 0 to 100.

| part | what | curve (`cdp.lake.measures.formula`) | weight |
|---|---|---|---|
| completeness | values of non-personal traits that are known | saturating, half 5 | 0.3 |
| recency | days since the last event | fading, half 30 | 0.2 |
| engagement | the engagement score (`cdp.scoring.engagement`) | as it is | 0.3 |
| value | spent in the main currency | saturating, half 500 | 0.2 |

The score is rounded half up, from the unrounded parts (the engagement score is a whole number before it is weighed).
The measure `profileScore` is this score for everybody.
"""

import msgspec

from cdp.core.clock import DAY
from cdp.lake.measures import formula as f
from cdp.scoring.engagement import fading, saturating, whole


class ProfileScore(msgspec.Struct, frozen=True):
    """The score and its parts, each 0 to 100."""

    score: int
    completeness: int
    recency: int
    engagement: int
    value: int


def profile_score(*, known: int, last_seen: int, engagement: int, spent: float, now: int) -> ProfileScore:
    """The score at `now` (µs) of a person of whom `known` values are known, last seen at `last_seen` (µs)."""
    completeness = saturating(known, f.COMPLETENESS_HALF)
    recency = fading((now - last_seen) / DAY, f.PRESENCE_HALF)
    value = saturating(spent, f.MONETARY_HALF)
    weights = f.PROFILE_WEIGHTS
    score = (
        weights["completeness"] * completeness
        + weights["recency"] * recency
        + weights["engagement"] * engagement
        + weights["value"] * value
    )
    return ProfileScore(
        score=whole(score),
        completeness=whole(completeness),
        recency=whole(recency),
        engagement=engagement,
        value=whole(value),
    )
