"""How somebody shows that a request is their own: a link by mail, a token of the shop's server, or an officer's word.

The link is an HMAC over the request's id, a random part and its expiry, under a key that never rotates. It is good
once: what ends a request's waiting removes the random part, and so do `MAX_TRIES` wrong tries.
"""

import base64
import binascii
import hmac
import uuid
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.module_loading import import_string

from cdp.access.models import Source
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.privacy.links import LINK, mail_works, new_link, reachable, signature
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.request_body import open_body
from cdp.privacy.requests import cancel_request, verify_request
from cdp.privacy.steps import record, taking
from cdp.privacy.subject import person_now, subject_of

MAX_TRIES = 5


def send_link(request: PrivacyRequest, *, actor: str) -> PrivacyRequest:
    """Mail a new link: those before are void. Raises Conflict when it cannot be mailed or does not wait for one."""
    with taking("send-link", request) as row:
        if not mail_works():
            raise Conflict("No mail can be sent: set EMAIL_URL, or verify by hand.", code="no_mail")
        if not reachable(row):
            message = "The person's profile holds no e-mail address that can be trusted: verify by hand."
            raise Conflict(message, code="no_address")
        new_link(row)
        record(actor, "send link", row)
    return row


def request_of_token(token: str) -> PrivacyRequest:
    """The request that the link with this token verifies. A wrong one counts.

    Raises NotFound: wrong, used, expired and locked are the same to whoever asks.
    """
    gone = NotFound("This link is not good any more. Ask for a new one.", code="bad_link")
    try:
        raw = base64.b64decode(token.encode("ascii", "replace"), altchars=b"-_", validate=True)
        found = PrivacyRequest.objects.filter(public_id=uuid.UUID(bytes=raw[:16])).first()
    except (ValueError, binascii.Error):
        raise gone from None
    if found is None or found.status != PrivacyRequest.Status.UNVERIFIED or found.link is None:
        raise gone
    if not hmac.compare_digest(raw[16:], signature(found)):
        _count_wrong(found)
        raise gone
    if found.link_expires_at is None or found.link_expires_at <= now_us():
        raise gone
    return found


def confirm(token: str) -> PrivacyRequest:
    """The person says by the link that the request is theirs. Raises NotFound."""
    request = request_of_token(token)
    try:
        return verify_request(request, by=LINK)
    except Conflict:  # somebody was faster
        raise NotFound("This link is not good any more. Ask for a new one.", code="bad_link") from None


def disown(token: str) -> PrivacyRequest:
    """The person says by the link that they did not ask: it is cancelled. Raises NotFound."""
    request = request_of_token(token)
    return cancel_request(request, actor=LINK, reason="The person wrote that they did not ask for this.")


def verify_by_token(request: PrivacyRequest, token: str) -> PrivacyRequest:
    """Verify by a token of the shop's server that says who signed in there (docs/widget.md). Raises Invalid.

    It must prove a user id of the person whom the request is about.
    """
    person = person_now(request, open_body(request).identifiers)
    user = _proven_user(token)
    proven = subject_of({"user_id": user}).person if user else None
    if person is None or proven is None or proven.pk != person.pk:
        message = "The token does not prove that this person asks. Leave it out: a link or an officer verifies then."
        raise Invalid(message, code="bad_verification_token", details={"path": "verificationToken"})
    return verify_request(request, by="token")


def _count_wrong(request: PrivacyRequest) -> None:
    with transaction.atomic():
        rows = PrivacyRequest.objects.filter(pk=request.pk, link=request.link)
        rows.update(link_tries=F("link_tries") + 1)
        if rows.filter(link_tries__gte=MAX_TRIES).update(link=None, link_expires_at=None, mail=""):
            record(LINK, "lock link", request)


def _proven_user(token: str) -> str | None:
    """The user id that the token proves for any of the browser sources."""
    if not settings.IDENTITY_TOKENS:
        return None
    prove: Callable[..., str | None] = _named(settings.IDENTITY_TOKENS)
    now = now_us()
    sources = Source.objects.filter(kind=Source.Kind.BROWSER, enabled=True).order_by("id").values_list("id", flat=True)
    return next((user for source in sources if (user := prove(token, source_id=source, at=now))), None)


_named = cache(import_string)
