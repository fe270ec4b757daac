"""The link by which a person verifies a request: to whom it is mailed, and what it carries."""

import base64
import hmac
import os

from django.conf import settings

from cdp.core.clock import HOUR, now_us
from cdp.identities.lookup import identifiers_of
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.subject import person_now
from cdp.privacy.wake import wake
from cdp.profiles.models import Profile

LINK = "link"
"""Who verified when the person did, and the mail that carries the link."""
_FIELDS = ["link", "link_expires_at", "link_tries", "mail"]


def address_of(person: Profile, given: str = "") -> str:
    """The e-mail address to write to: one that the person's profile holds and that no browser made up, or blank.

    `given` if it is one of them, else the primary, the verified, the oldest.
    """
    held = [row for row in identifiers_of(person.pk) if row.type == "email" and (row.trusted or row.verified_at)]
    held.sort(key=lambda row: (row.value != given, not row.primary, row.verified_at is None, row.first_seen))
    return held[0].value if held else ""


def mail_works() -> bool:
    """Whether EMAIL_URL says how to send mail."""
    return not settings.EMAIL_BACKEND.endswith("dummy.EmailBackend")


def offer_link(request: PrivacyRequest) -> bool:
    """Have a link mailed to the person if that can be done; whether it can. Call it in the transaction that opens."""
    if not reachable(request):
        return False
    new_link(request)
    return True


def token_of(request: PrivacyRequest) -> str:
    """What the link carries: 64 url-safe letters."""
    return base64.urlsafe_b64encode(request.public_id.bytes + signature(request)).decode()


def reachable(request: PrivacyRequest) -> bool:
    """Whether a link can be mailed: the person is known, with an address, and mail is set up."""
    person = person_now(request, {}) if mail_works() else None
    return person is not None and address_of(person) != ""


def new_link(request: PrivacyRequest) -> None:
    """Make a link, which voids the one before, and have it mailed."""
    request.link = os.urandom(16)
    request.link_expires_at = now_us() + settings.PRIVACY_LINK_HOURS * HOUR
    request.link_tries, request.mail = 0, LINK
    request.save(update_fields=_FIELDS)
    wake()


def signature(request: PrivacyRequest) -> bytes:
    """The 32 bytes that only we can make for the link that is good now."""
    said = request.public_id.bytes + bytes(request.link or b"") + str(request.link_expires_at).encode()
    return hmac.digest(settings.KEYRING.fixed_key("privacy link"), said, "sha256")
