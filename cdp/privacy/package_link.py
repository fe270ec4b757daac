"""The address of the package that answers a request."""

from cdp.core.clock import now_us
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.package import link_of
from cdp.privacy.request_body import RequestBody


def package_link(request: PrivacyRequest, body: RequestBody) -> str | None:
    """Where the package can be fetched while it is there: whoever has the address has the data."""
    if not body.answer or not request.packages.filter(expires_at__gt=now_us(), key__isnull=False).exists():
        return None
    return link_of(body.answer)
