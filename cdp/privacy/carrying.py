"""Carrying out a request that was verified: each kind has its work here, which may be stopped and begun again.

Whoever works holds the row for `LEASE`; when the process is gone, the sweep goes on. What was done and what it says of
itself are one transaction (corrections, objections), or the work looks first at what it left (packages, erasures).
"""

import contextlib
import logging

import msgspec
from django.db import transaction
from django.db.models import Q, QuerySet

from cdp.access.audit import record_change
from cdp.access.source import api_source
from cdp.consents.ledger import ConsentStatement, record_statement
from cdp.core.clock import MINUTE, now_us
from cdp.core.errors import Conflict, DomainError, NotFound
from cdp.core.holder import holder_name, is_gone
from cdp.pipeline.identify import add_identifier, remove_identifier
from cdp.pipeline.lease import exclusive, mark_described
from cdp.pipeline.write_traits import TraitWrite, delete_trait, set_traits
from cdp.privacy.erase import erase_person
from cdp.privacy.holds import held
from cdp.privacy.models import Erasure, PrivacyRequest, RequestNote
from cdp.privacy.package import make_package
from cdp.privacy.request_body import open_body, seal_request
from cdp.privacy.steps import record, taking
from cdp.privacy.subject import person_now
from cdp.privacy.wake import wake
from cdp.privacy.wishes import Wishes
from cdp.profiles.models import Profile

Kind, Status = PrivacyRequest.Kind, PrivacyRequest.Status
LEASE = 30 * MINUTE
LONG = frozenset({Kind.ACCESS, Kind.PORTABILITY, Kind.DELETION})
"""Kinds that a worker carries out."""
NOBODY = "Nothing is held about whoever these identifiers mean."
_AGAIN = MINUTE
_log = logging.getLogger(__name__)


def carry_out(request: PrivacyRequest, *, actor: str) -> PrivacyRequest:
    """Do what a verified request asks, now and to the end; returns it as it is then.

    Raises Conflict when it was not verified or has ended, or the person's data is under a legal hold; the request stays
    as it was. A deletion that could not reach everything is `partial` and goes on in the sweep.
    """
    row = _begin(request, actor=actor, holder=holder_name())
    _work(row)
    row.refresh_from_db()
    return row


def start(request: PrivacyRequest, *, actor: str) -> PrivacyRequest:
    """`carry_out`, but what takes long is left to the worker: then it is `running` on return."""
    if request.kind not in LONG:
        return carry_out(request, actor=actor)
    row = _begin(request, actor=actor, holder="")
    wake()
    return row


def begun() -> QuerySet[PrivacyRequest]:
    """The requests that are being carried out, by a process that lives or one that is gone, oldest first."""
    unfinished = Q(status=Status.RUNNING) | Q(status=Status.PARTIAL, kind=Kind.DELETION)
    return PrivacyRequest.objects.filter(unfinished).order_by("id")


def continue_requests() -> int:
    """Go on with what was begun and is not held by a process that lives; returns how many were looked at.

    What cannot be done now is logged and tried again a minute later.
    """
    now = now_us()
    looked = 0
    for row in begun():
        if (row.held_until > now and not is_gone(row.holder)) or not _claim(row):
            continue
        looked += 1
        try:
            _work(row)
        except Exception as error:  # noqa: BLE001 - the next request must not wait for this one
            _log.error("A privacy request could not be carried out: %s", type(error).__name__)
    return looked


def _begin(request: PrivacyRequest, *, actor: str, holder: str) -> PrivacyRequest:
    with taking("process", request) as row:
        if row.kind == Kind.DELETION:
            _refuse_held(row)
        row.status, row.carried_by, row.outcome = Status.RUNNING, actor[:150], ""
        row.holder, row.held_until = holder, now_us() + LEASE if holder else 0
        row.save(update_fields=["status", "carried_by", "outcome", "holder", "held_until"])
        record(actor, "process", row, fields=["status"])
    return row


def _claim(row: PrivacyRequest) -> bool:
    """Whether this process has the row now: nobody else took it since it was read."""
    holder, until = holder_name(), now_us() + LEASE
    mine = PrivacyRequest.objects.filter(
        pk=row.pk, status=row.status, holder=row.holder, held_until=row.held_until
    ).update(holder=holder, held_until=until)
    row.holder, row.held_until = holder, until
    return mine == 1


def _work(row: PrivacyRequest) -> None:
    """Do it. What is refused waits for an officer again; any other error is tried again by the sweep."""
    mine = PrivacyRequest.objects.filter(pk=row.pk, holder=row.holder, status__in=(Status.RUNNING, Status.PARTIAL))
    try:
        _WORK[Kind(row.kind)](row)
    except DomainError as error:
        said = f"Could not be carried out: {error.code.replace('_', ' ')}."
        mine.update(status=Status.PENDING, holder="", held_until=0, outcome=said)
        raise
    except Exception as error:
        said = f"Stopped by {type(error).__name__}; it is tried again by itself."
        mine.update(holder="", held_until=now_us() + _AGAIN, outcome=said)
        raise


def _package(row: PrivacyRequest) -> None:
    person = person_now(row, open_body(row).identifiers)
    if person is None:
        return _finish(row, NOBODY)
    # What a process that was killed has made: nobody knows its link. The sweep removes the file.
    row.packages.update(key=None, expires_at=now_us())
    try:
        _, token = make_package(person, request=row, actor=row.carried_by, why=f"request {row.public_id}")
    except NotFound:  # deleted meanwhile
        return _finish(row, NOBODY)
    row.mail = "answer"
    return _finish(row, "The package is ready: its link is beside it until it expires.", answer=token)


def _erase(row: PrivacyRequest) -> None:
    erasure = row.erasures.order_by("-id").first()
    if erasure is None:
        person = person_now(row, open_body(row).identifiers)
        if person is None:
            return _finish(row, NOBODY)
        try:
            erasure = erase_person(person, request=row, actor=row.carried_by)
        except NotFound:  # deleted meanwhile
            return _finish(row, NOBODY)
    if erasure.status == Erasure.Status.DONE:
        return _finish(row, f"Erased and proven: receipt {erasure.public_id}.")
    said = "Not everything could be reached yet: what is left is tried again by itself."
    status = Status.PARTIAL if erasure.status == Erasure.Status.PARTIAL else Status.RUNNING
    PrivacyRequest.objects.filter(pk=row.pk, holder=row.holder).update(
        status=status, holder="", held_until=now_us() + _AGAIN, outcome=said
    )
    return None


def _rectify(row: PrivacyRequest) -> None:
    body = open_body(row)
    wishes = msgspec.convert(body.changes, Wishes)
    with exclusive():
        person = person_now(row, body.identifiers)
        if person is None:
            return _finish(row, NOBODY)
        traits, identifiers = dict(wishes.traits), dict(wishes.identifiers)
        for name in ("email", "phone"):
            if name in identifiers:
                traits.setdefault(name, identifiers[name])
            elif isinstance(traits.get(name), str):
                identifiers[name] = traits[name]
        for name, value in identifiers.items():
            code, _, space = name.partition(":")
            add_identifier(person.public_id, code, value, namespace=space, actor=row.carried_by)
        for name, value in wishes.removed.items():
            code, _, space = name.partition(":")
            with contextlib.suppress(NotFound):
                remove_identifier(person.public_id, code, value, namespace=space, actor=row.carried_by)
        writes = [TraitWrite(key, value, verified=True) for key, value in traits.items() if value is not None]
        if writes:
            set_traits(person.public_id, writes, source=api_source())
        for key in [key for key, value in traits.items() if value is None]:
            with contextlib.suppress(NotFound):
                delete_trait(person.public_id, key)
        fields = sorted({*traits, *identifiers, *wishes.removed})
        _record_person(row, person, "rectify", fields)
        return _finish(row, f"Corrected: {len(fields)} field{'s' if len(fields) != 1 else ''}.")


def _object(row: PrivacyRequest) -> None:
    body = open_body(row)
    purposes = msgspec.convert(body.changes, Wishes).purposes
    with exclusive() as db:
        person = person_now(row, body.identifiers)
        if person is None:
            return _finish(row, NOBODY)
        now = now_us()
        source = f"privacy request {row.public_id}"
        record_statement(person.pk, purposes, ConsentStatement(granted=False, at=now, source=source))
        mark_described(db, [person.pk], now=now)
        _record_person(row, person, "withdraw consent", purposes)
        return _finish(row, f"Withdrawn: {', '.join(purposes)}.")


_WORK = {
    Kind.ACCESS: _package,
    Kind.PORTABILITY: _package,
    Kind.DELETION: _erase,
    Kind.RECTIFICATION: _rectify,
    Kind.OBJECTION: _object,
}


def _finish(row: PrivacyRequest, outcome: str, *, answer: str = "") -> None:
    """Completed, with an audit entry, unless another process finished it. A deletion keeps nothing about whom."""
    with transaction.atomic():
        fresh = PrivacyRequest.objects.select_for_update().get(pk=row.pk)
        if fresh.holder != row.holder or fresh.status not in (Status.RUNNING, Status.PARTIAL):
            raise Conflict("Another process has carried it out meanwhile.", code="overtaken")
        fresh.status, fresh.ended_at, fresh.outcome = Status.COMPLETED, now_us(), outcome[:500]
        fresh.holder, fresh.held_until, fresh.subject, fresh.mail = "", 0, None, row.mail
        if answer:
            fresh.body = seal_request(msgspec.structs.replace(open_body(fresh), answer=answer))
        fresh.save(update_fields=["status", "ended_at", "outcome", "holder", "held_until", "subject", "mail", "body"])
        record(row.carried_by, "complete", fresh, fields=["status"])
        if fresh.kind == Kind.DELETION:
            forget_whom([fresh.pk])
    if row.mail:
        wake()


def forget_whom(requests: list[int]) -> int:
    """Keep of these requests kind, dates, status and receipt, and nothing about whom; returns the rows changed."""
    RequestNote.objects.filter(request_id__in=requests).delete()
    return PrivacyRequest.objects.filter(pk__in=requests).update(
        body=None, person=None, subject=None, link=None, link_expires_at=None, mail=""
    )


def _refuse_held(row: PrivacyRequest) -> None:
    person = person_now(row, open_body(row).identifiers)
    if person is not None and held([person.pk]):
        message = "The person's data is under a legal hold: nothing is deleted until it is released."
        raise Conflict(message, code="legal_hold")


def _record_person(row: PrivacyRequest, person: Profile, action: str, fields: list[str]) -> None:
    record_change(
        row.carried_by,
        action=action,
        object_type="profile",
        object_ids=[person.public_id],
        fields=fields,
        why=f"privacy request {row.public_id}",
    )
