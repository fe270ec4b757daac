"""The mails of a request: the link that verifies it, and that its answer is ready. Only to an address that we hold."""

import logging
import smtplib

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.formats import date_format
from django.utils.timezone import localtime

from cdp.core.clock import from_us
from cdp.core.crypto import KeyMissing
from cdp.privacy.links import LINK, address_of, mail_works, token_of
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.package_link import package_link
from cdp.privacy.request_body import open_body
from cdp.privacy.subject import person_now

ANSWER = "answer"
"""The mail that says where the package is."""
_WORDS = {
    PrivacyRequest.Kind.ACCESS: "to be told what is held about you",
    PrivacyRequest.Kind.PORTABILITY: "for a copy of the data that you gave",
    PrivacyRequest.Kind.DELETION: "that the data about you is deleted",
    PrivacyRequest.Kind.RECTIFICATION: "that data about you is corrected",
    PrivacyRequest.Kind.OBJECTION: "that data about you is not used for certain purposes any more",
}
_log = logging.getLogger(__name__)


def send_waiting() -> int:
    """Send what waits; returns how many mails went. One that fails waits for the next call.

    A mail is claimed before it is sent, so that two workers do not send it twice.
    """
    sent = 0
    for row in PrivacyRequest.objects.exclude(mail="").order_by("id") if mail_works() else ():
        kind = row.mail
        if not PrivacyRequest.objects.filter(pk=row.pk, mail=kind).update(mail=""):
            continue
        try:
            message = _message(row, kind)
            sent += message.send() if message is not None else 0
        except (smtplib.SMTPException, OSError) as error:
            _log.warning("A mail about a privacy request was not sent (%s).", type(error).__name__)
            PrivacyRequest.objects.filter(pk=row.pk, mail="").update(mail=kind)
        except KeyMissing:
            _log.error("A mail about a privacy request cannot be written: its key is gone.")
    return sent


def _message(row: PrivacyRequest, kind: str) -> EmailMessage | None:
    """The mail, or None when there is nobody to write to, or nothing to say, any more."""
    body = open_body(row)
    person = person_now(row, {})
    address = address_of(person, body.identifiers.get("email", "")) if person is not None else ""
    if not address:
        return None
    if kind == LINK:
        if row.link is None or row.status != PrivacyRequest.Status.UNVERIFIED:
            return None
        return EmailMessage(subject="Please confirm your request", body=_asking(row), to=[address])
    link = package_link(row, body)
    return EmailMessage(subject="Your data is ready", body=_ready(row, link), to=[address]) if link else None


def _asking(row: PrivacyRequest) -> str:
    assert row.link_expires_at is not None
    return (
        f"Somebody asked us on {_day(row.created_at)} {_WORDS[PrivacyRequest.Kind(row.kind)]}. If that was you, please"
        " confirm it:\n\n"
        f"{settings.PUBLIC_URL}/privacy/verify/{token_of(row)}\n\n"
        f"The link is good until {_moment(row.link_expires_at)}. If it was not you, open the same page and say so, or"
        " do nothing: nothing happens without your confirmation.\n"
    )


def _ready(row: PrivacyRequest, link: str) -> str:
    expires = row.packages.filter(key__isnull=False).order_by("-id").values_list("expires_at", flat=True)[0]
    return (
        f"You asked us on {_day(row.created_at)} {_WORDS[PrivacyRequest.Kind(row.kind)]}. Here it is, as a file:\n\n"
        f"{link}\n\n"
        f"It is there until {_moment(expires)}. Whoever has this address can fetch it: do not pass it on.\n"
    )


def _day(us: int) -> str:
    return date_format(localtime(from_us(us)), "j F Y")


def _moment(us: int) -> str:
    return date_format(localtime(from_us(us)), "j F Y, H:i T")
