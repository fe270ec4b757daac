"""Until when a request must be answered."""

from django.conf import settings

from cdp.core.clock import DAY
from cdp.privacy.models import PrivacyRequest

EXTENSION_DAYS = {PrivacyRequest.Regulation.GDPR: 60, PrivacyRequest.Regulation.CCPA: 45}
"""The days by which a deadline may be extended, once (GDPR Art. 12(3); CCPA § 1798.130(a)(2))."""
OPEN = (
    PrivacyRequest.Status.UNVERIFIED,
    PrivacyRequest.Status.PENDING,
    PrivacyRequest.Status.RUNNING,
    PrivacyRequest.Status.PARTIAL,
)
"""The statuses in which a request waits for something."""


def due_from(received: int, regulation: str) -> int:
    """The moment (µs) by which a request that came at `received` must be answered."""
    days: int = {
        PrivacyRequest.Regulation.GDPR: settings.PRIVACY_DAYS_GDPR,
        PrivacyRequest.Regulation.CCPA: settings.PRIVACY_DAYS_CCPA,
    }[PrivacyRequest.Regulation(regulation)]
    return received + days * DAY


def days_left(request: PrivacyRequest, *, now: int) -> int | None:
    """Whole days until the deadline, -1 on the first day after it; None for a request that has ended."""
    return (request.due_at - now) // DAY if request.status in OPEN else None
