"""Customers who were erased: nobody asks another platform for them any more, and no kept answer is given."""

from django.conf import settings

from cdp.core.clock import SECOND, now_us
from cdp.customer360.search import external_namespaces
from cdp.identities.lookup import current_rules
from cdp.identities.models import SuppressedIdentifier
from cdp.identities.suppression import suppressed, suppression_digest
from cdp.pipeline.lease import database


def lately_erased() -> frozenset[bytes]:
    """The suppression digests of everybody who was erased since the oldest answer that may still be kept: one query."""
    since = now_us() - 2 * settings.CDP_CACHE_TTL * SECOND
    rows = SuppressedIdentifier.objects.filter(created_at__gte=since, lifted_at=None)
    return frozenset(bytes(digest) for digest in rows.values_list("digest", flat=True))


def is_erased(customer_id: str, among: frozenset[bytes] | None = None) -> bool:
    """Whether this user id or external id is suppressed, or `among` these digests: no query when that is empty."""
    if among is not None and not among:
        return False
    rules = current_rules()
    user, external = rules.kinds["user_id"], rules.kinds["external"]
    text = rules.spelling(user, customer_id)
    if text is None:
        return False
    ring = settings.KEYRING
    digests = {suppression_digest(ring, user, "", text)}
    digests |= {suppression_digest(ring, external, space, text) for space in external_namespaces(external)}
    return not digests.isdisjoint(among) if among is not None else bool(suppressed(database(), digests))
