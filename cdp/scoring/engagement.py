"""The engagement score (M1): how much a person does with us, 0 to 100, in parts that add up to something explainable.

The two curves and all numbers stand in `cdp.lake.measures.formula`; the measure `engagementScore` is this score for
everybody. The parts, over the events of the last `WINDOW_DAYS` days where nothing else is said:

| part | what | half |
|---|---|---|
| recency | days since the last event, of all time | 14 days |
| frequency | days (UTC) with at least one event | 8 days |
| monetary | revenue of all time in the person's main currency | 500 units |
| email | e-mails opened | 4 |
| web | page and product views, searches, clicks, forms, additions to the cart | 20 |
| portal | sign-ins, documents, messages, quotes, policies, claims | 5 |

overall = 0.3 · recency + 0.3 · frequency + 0.2 · monetary + 0.2 · the best of email, web and portal: so a business
without a portal is not marked down for it. Every score is rounded half up to a whole number, `overall` from the
unrounded parts.
"""

import math

import msgspec

from cdp.core.clock import DAY
from cdp.lake.measures import formula as f


class Activity(msgspec.Struct, frozen=True):
    """Counts of the window; `last_event` and `last_login` (µs) and `revenue` (units) are of all time."""

    last_event: int | None = None
    last_login: int | None = None
    active_days: int = 0
    email_events: int = 0
    web_events: int = 0
    portal_events: int = 0
    revenue: float = 0.0


class Engagement(msgspec.Struct, frozen=True):
    """The score and its parts, each 0 to 100."""

    overall: int
    email: int
    web: int
    portal: int
    recency: int
    frequency: int
    monetary: int


def saturating(amount: float, half: float) -> float:
    """0 for nothing (or less), 50 at `half`, towards 100 for much."""
    return 100 * (1 - 2 ** (-max(amount, 0.0) / half))


def fading(days: float, half: float) -> float:
    """100 for now (or the future), 50 after `half` days, towards 0."""
    return 100 * 2 ** (-max(days, 0.0) / half)


def engagement(activity: Activity, *, now: int) -> Engagement:
    """The score of `activity` at the moment `now` (µs) by the formula above."""
    recency = 0.0 if activity.last_event is None else fading((now - activity.last_event) / DAY, f.RECENCY_HALF)
    frequency = saturating(activity.active_days, f.FREQUENCY_HALF)
    monetary = saturating(activity.revenue, f.MONETARY_HALF)
    email = saturating(activity.email_events, f.EMAIL_HALF)
    web = saturating(activity.web_events, f.WEB_HALF)
    portal = saturating(activity.portal_events, f.PORTAL_HALF)
    weights = f.ENGAGEMENT_WEIGHTS
    overall = (
        weights["recency"] * recency
        + weights["frequency"] * frequency
        + weights["monetary"] * monetary
        + weights["channel"] * max(email, web, portal)
    )
    return Engagement(
        overall=whole(overall),
        email=whole(email),
        web=whole(web),
        portal=whole(portal),
        recency=whole(recency),
        frequency=whole(frequency),
        monetary=whole(monetary),
    )


def whole(score: float) -> int:
    """Rounded half up."""
    return math.floor(score + 0.5)
