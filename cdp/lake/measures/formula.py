"""The numbers of the scores in one place: what is counted in which window, and how fast a part rises or fades.

`cdp.scoring` computes the scores of one person with them, the measures of this room those of everybody.

Two curves are used, both chosen so that a number can be checked by hand:

* `saturating(n, half)` = 100 · (1 − 2^(−n ⁄ half)): nothing is 0, `half` is 50, twice `half` is 75, three times 87.5;
* `fading(days, half)` = 100 · 2^(−days ⁄ half): now is 100, after `half` days 50, after twice that 25.
"""

WINDOW_DAYS = 90
EMAIL_TYPES = ("EMAIL_OPEN",)
WEB_TYPES = ("PAGE_VIEW", "PRODUCT_VIEW", "SEARCH", "BUTTON_CLICK", "FORM_SUBMIT", "ADD_TO_CART")
PORTAL_TYPES = (
    "LOGIN", "DOCUMENT_UPLOAD", "DOCUMENT_VIEW", "MESSAGE_SENT", "MESSAGE_READ", "QUOTE_REQUEST", "QUOTE_VIEW",
    "POLICY_VIEW", "CLAIM_SUBMIT",
)  # fmt: skip

RECENCY_HALF = 14
FREQUENCY_HALF = 8
MONETARY_HALF = 500
EMAIL_HALF = 4
WEB_HALF = 20
PORTAL_HALF = 5
ENGAGEMENT_WEIGHTS = {"recency": 0.3, "frequency": 0.3, "monetary": 0.2, "channel": 0.2}
"""`channel` is the best of email, web and portal."""

COMPLETENESS_HALF = 5
PRESENCE_HALF = 30
PROFILE_WEIGHTS = {"completeness": 0.3, "recency": 0.2, "engagement": 0.3, "value": 0.2}

NEW_DAYS, ACTIVE_DAYS, AT_RISK_DAYS, DORMANT_DAYS = 30, 90, 180, 365
STAGES = {
    "prospect": f"Never bought, seen in the last {DORMANT_DAYS} days",
    "inactive": f"Never bought, not seen for {DORMANT_DAYS} days",
    "new": f"First bought in the last {NEW_DAYS} days",
    "active": f"Bought in the last {ACTIVE_DAYS} days",
    "at_risk": f"Last bought {ACTIVE_DAYS} to {AT_RISK_DAYS} days ago",
    "dormant": f"Last bought {AT_RISK_DAYS} to {DORMANT_DAYS} days ago",
    "churned": f"Last bought more than {DORMANT_DAYS} days ago",
}
"""The lifecycle stages by key, in plain words. Everybody is in exactly one; a bound belongs to the stage before it."""
