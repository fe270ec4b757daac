"""The engagement score (M1): how much a person does with us, 0 to 100, in parts that add up to something explainable.

Two curves are used, both chosen so that a number can be checked by hand:

* `saturating(n, half)` = 100 · (1 − 2^(−n ⁄ half)): nothing is 0, `half` is 50, twice `half` is 75, three times 87.5;
* `fading(days, half)` = 100 · 2^(−days ⁄ half): now is 100, after `half` days 50, after twice that 25.

The parts, over the events of the last `WINDOW_DAYS` days where nothing else is said:

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

WINDOW_DAYS = 90
EMAIL_TYPES = ("EMAIL_OPEN",)
WEB_TYPES = ("PAGE_VIEW", "PRODUCT_VIEW", "SEARCH", "BUTTON_CLICK", "FORM_SUBMIT", "ADD_TO_CART")
PORTAL_TYPES = (
    "LOGIN", "DOCUMENT_UPLOAD", "DOCUMENT_VIEW", "MESSAGE_SENT", "MESSAGE_READ", "QUOTE_REQUEST", "QUOTE_VIEW",
    "POLICY_VIEW", "CLAIM_SUBMIT",
)  # fmt: skip


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
    recency = 0.0 if activity.last_event is None else fading((now - activity.last_event) / DAY, 14)
    frequency = saturating(activity.active_days, 8)
    monetary = saturating(activity.revenue, 500)
    email = saturating(activity.email_events, 4)
    web = saturating(activity.web_events, 20)
    portal = saturating(activity.portal_events, 5)
    overall = 0.3 * recency + 0.3 * frequency + 0.2 * monetary + 0.2 * max(email, web, portal)
    return Engagement(
        overall=_whole(overall),
        email=_whole(email),
        web=_whole(web),
        portal=_whole(portal),
        recency=_whole(recency),
        frequency=_whole(frequency),
        monetary=_whole(monetary),
    )


def _whole(score: float) -> int:
    return math.floor(score + 0.5)
