"""The life of a request: opened, verified, carried out; or rejected, cancelled. Each step leaves an audit entry.

What a step may follow is said by `cdp.privacy.steps` alone. Times are µs. A step locks the request's row until its
end, so that two who do the same at once do it once.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from django.db.models import Q

from cdp.core.clock import DAY, now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.pipeline.lease import exclusive
from cdp.privacy.carrying import carry_out
from cdp.privacy.deadlines import EXTENSION_DAYS, OPEN, due_from
from cdp.privacy.links import offer_link
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.request_body import RequestBody, open_body, seal_request
from cdp.privacy.steps import record, taking
from cdp.privacy.subject import Subject, subject_of
from cdp.privacy.wishes import wishes_of
from cdp.profiles.models import Profile

__all__ = ["cancel_request", "carry_out", "extend_request", "open_request", "reject_request", "verify_request"]
Status = PrivacyRequest.Status
CHANNELS = ("api", "console", "command", "opendsr")
HOW = {
    "document": "An identity document was seen",
    "account": "Signed in to their account",
    "call": "Asked for on the telephone number that we hold",
    "mail": "Answered from the e-mail address that we hold",
    "person": "Came in person",
    "controller": "Verified by whoever sent the request",
}
"""How somebody was verified by an officer."""
MAX_TEXT = 2000


def open_request(
    kind: str,
    identifiers: Mapping[str, str],
    *,
    regulation: str,
    channel: str,
    actor: str,
    contact: str = "",
    changes: Mapping[str, Any] | None = None,
    external_id: str | None = None,
    callbacks: Sequence[str] = (),
) -> PrivacyRequest:
    """Record that somebody asks for `kind` about the person whom `identifiers` mean; nobody need be known by them.

    One that is open for the same person (or the same unknown identifiers) and kind is returned instead, `duplicate`
    set; with an `external_id` the one that has it. A link to verify it is mailed if the person's profile holds a
    trusted address. Holds the processing fence, so that of two at once one is made. Raises Invalid, Conflict.
    """
    _check(kind, regulation, channel, contact)
    wishes = wishes_of(kind, changes)
    now = now_us()
    with exclusive():
        subject = subject_of(identifiers)
        found = _open_already(kind, subject, external_id)
        if found is not None:
            found.duplicate = True
            return found
        body = RequestBody(subject.identifiers, contact.strip(), msgspec.to_builtins(wishes))
        made = PrivacyRequest.objects.create(
            kind=kind,
            regulation=regulation,
            person=subject.person,
            subject=None if subject.person else subject.digest,
            channel=channel,
            external_id=external_id,
            callbacks=list(callbacks),
            created_at=now,
            created_by=actor[:150],
            due_at=due_from(now, regulation),
            body=seal_request(body),
        )
        offer_link(made)
        record(actor, "open", made, fields=["identifiers", *(["changes"] if body.changes else [])])
    return made


def request_of(public_id: str) -> PrivacyRequest:
    """The request with this id. Raises NotFound, also for a text that is no id."""
    try:
        found = PrivacyRequest.objects.filter(public_id=uuid.UUID(public_id)).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound("There is no request with this id.")
    return found


def verify_request(request: PrivacyRequest, *, by: str, how: str = "") -> PrivacyRequest:
    """Say that whoever asks is the person: `by` is `link`, `token` or the officer, `how` one of `HOW` for an officer.

    Raises Conflict when it does not wait for that.
    """
    if how and how not in HOW:
        message = f"`how` must be one of {', '.join(HOW)}."
        raise Invalid(message, code="unknown_verification", details={"path": "how"})
    with taking("verify", request) as row:
        row.status = Status.PENDING
        row.verified_at, row.verified_by = now_us(), by[:150]
        row.link, row.link_expires_at, row.mail = None, None, ""
        row.save(update_fields=["status", "verified_at", "verified_by", "link", "link_expires_at", "mail"])
        record(by, "verify", row, fields=["status"], why=how)
    return row


def reject_request(request: PrivacyRequest, *, actor: str, reason: str) -> PrivacyRequest:
    """Refuse it for a reason, which the person may be told. Raises Invalid without one, Conflict."""
    said = _text(reason, "reason")
    return _end(request, "reject", Status.REJECTED, "Rejected for the reason beside it.", actor=actor, reason=said)


def cancel_request(request: PrivacyRequest, *, actor: str, reason: str = "") -> PrivacyRequest:
    """End it because whoever asked does not want it any more. Raises Conflict once it is carried out."""
    said = _text(reason, "reason", needed=False)
    return _end(request, "cancel", Status.CANCELLED, "Cancelled.", actor=actor, reason=said)


def extend_request(request: PrivacyRequest, *, days: int, actor: str, reason: str) -> PrivacyRequest:
    """Move the deadline, once, by up to the days that the regulation allows. Raises Invalid, Conflict."""
    most = EXTENSION_DAYS[PrivacyRequest.Regulation(request.regulation)]
    if not 1 <= days <= most:
        message = f"{request.get_regulation_display()} lets a deadline be extended by 1 to {most} days."
        raise Invalid(message, code="bad_extension", details={"path": "days"})
    said = _text(reason, "reason")
    with taking("extend", request) as row:
        if row.extended_at is not None:
            raise Conflict("The deadline was extended already: that is allowed once.", code="extended_already")
        row.due_at += days * DAY
        row.extended_at, row.alerted = now_us(), None
        row.body = seal_request(msgspec.structs.replace(open_body(row), reason=said))
        row.save(update_fields=["due_at", "extended_at", "alerted", "body"])
        record(actor, "extend", row, fields=["due_at"], why=f"{days} days")
    return row


def _end(
    request: PrivacyRequest, step: str, status: PrivacyRequest.Status, outcome: str, *, actor: str, reason: str
) -> PrivacyRequest:
    with taking(step, request) as row:
        row.status, row.ended_at, row.outcome = status, now_us(), outcome
        row.link, row.link_expires_at, row.mail, row.subject = None, None, "", None
        row.body = seal_request(msgspec.structs.replace(open_body(row), reason=reason))
        row.save(update_fields=["status", "ended_at", "outcome", "link", "link_expires_at", "mail", "subject", "body"])
        record(actor, step, row, fields=["status"])
    return row


def _open_already(kind: str, subject: Subject, external_id: str | None) -> PrivacyRequest | None:
    if external_id is not None:
        return PrivacyRequest.objects.filter(external_id=external_id).first()
    same = Q(subject=subject.digest)
    if subject.person is not None:
        fragments = Profile.objects.filter(person_id=subject.person.pk).values("id")
        same |= Q(person_id__in=fragments)
    return PrivacyRequest.objects.filter(same, kind=kind, status__in=OPEN).order_by("id").first()


def _check(kind: str, regulation: str, channel: str, contact: str) -> None:
    for path, value, allowed in (
        ("type", kind, PrivacyRequest.Kind.values),
        ("regulation", regulation, PrivacyRequest.Regulation.values),
        ("channel", channel, CHANNELS),
    ):
        if value not in allowed:
            message = f"`{path}` must be one of {', '.join(allowed)}."
            raise Invalid(message, code=f"unknown_{path}", details={"path": path})
    _text(contact, "contact", needed=False)


def _text(given: str, path: str, *, needed: bool = True) -> str:
    text = given.strip().replace("\0", "")
    if len(text) > MAX_TEXT or (needed and not text):
        raise Invalid(f"`{path}` is a text of 1 to {MAX_TEXT} characters.", details={"path": path})
    return text
