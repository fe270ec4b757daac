"""What is not in a table of a profile's own: requests and their files, look-ups at other platforms, the audit.

Each part can be called again at any time. One that cannot be reached raises Unreachable with the reason.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import transaction

from cdp.access.audit_forget import count_objects, forget_objects
from cdp.access.reading import as_uuid
from cdp.core.clock import now_us
from cdp.core.crypto import KeyMissing
from cdp.pipeline.lease import database
from cdp.privacy.erase_waiting import pattern
from cdp.privacy.erase_work import Gone, Unreachable, Work, add, tally
from cdp.privacy.opened import readable
from cdp.privacy.package import packages_folder
from cdp.privacy.request_body import PURPOSE

ANSWERED = "The person was erased."


def forget_requests(work: Work) -> None:
    """Bodies, notes and packages of requests about them; that somebody asked, when, and what came of it, stays."""
    with transaction.atomic():
        db = database()
        gone: Gone = {}
        numbers = work.numbers
        rows = db.rows_in("select id, person_id from privacy_privacyrequest where person_id {in}", numbers, "bigint")
        whose = {request: work.owner[person] for request, person in rows}
        whose |= _unnamed_requests(work)
        whose |= {row.request_id: row.pk for row in work.erasures if row.request_id is not None}
        packages = db.rows_in(
            "select id, public_id, person_id, request_id from privacy_accesspackage where person_id {in}",
            numbers,
            "bigint",
        )
        packages += db.rows_in(
            "select id, public_id, person_id, request_id from privacy_accesspackage where request_id {in}",
            [request for request in whose if request not in {row[3] for row in packages}],
            "bigint",
        )
        for _, public_id, person, request in packages:
            _unlink(packages_folder() / as_uuid(public_id).hex)
            pk = work.owner.get(person, whose.get(request, 0))
            gone.setdefault(pk, Counter())["privacy_accesspackage"] += 1
        db.execute_in("delete from privacy_accesspackage where id {in}", [row[0] for row in packages], "bigint")
        notes = db.rows_in("select request_id, id from privacy_requestnote where request_id {in}", whose, "bigint")
        db.execute_in("delete from privacy_requestnote where id {in}", [note for _, note in notes], "bigint")
        add(gone, tally(Counter(request for request, _ in notes).items(), whose, "privacy_requestnote"))
        add(gone, tally(((request, 1) for request in whose), whose, "privacy_privacyrequest (made anonymous)"))
        db.execute_in(
            "update privacy_privacyrequest set status = 'cancelled', ended_at = ?, outcome = ?"
            " where status in ('unverified', 'pending') and id {in}",
            set(whose) - {row.request_id for row in work.erasures},
            "bigint",
            (now_us(), ANSWERED),
        )
        db.execute_in(
            "update privacy_privacyrequest set person_id = null, body = null, subject = null, link = null,"
            " link_expires_at = null, mail = '' where id {in}",
            whose,
            "bigint",
        )
        work.record(db, "requests", {pk: counts for pk, counts in gone.items() if pk})


def _unnamed_requests(work: Work) -> dict[int, int]:
    """Requests that found nobody when they came, but say identifiers of these people: request → erasure."""
    patterns = [(pattern(t), pk) for pk, s in work.subjects.items() for t in s.values() if len(t) >= 5]
    found: dict[int, int] = {}
    sql = "select id, body from privacy_privacyrequest where person_id is null and body is not null"
    for request, body in database().rows(sql):
        try:
            text = readable(settings.KEYRING.decrypt(PURPOSE, body)).encode()
        except KeyMissing:
            continue
        whose = next((pk for pattern_, pk in patterns if pattern_.search(text)), None)
        if whose is not None:
            found[request] = whose
    return found


def forget_look_ups(work: Work) -> None:
    """The log of what was asked of another platform about them.

    Answers that a process or Redis keeps are given no more (`integrations.erased`) and end within minutes.
    """
    ring = settings.KEYRING
    digests = {d: pk for pk, s in work.subjects.items() for c in s.customers() for d in ring.digests("lookup", c)}
    with transaction.atomic():
        db = database()
        sql = "select customer, count(*) from integrations_requestlog where customer {in} group by customer"
        counts = [(bytes(digest), count) for digest, count in db.rows_in(sql, digests, "bytea")]
        db.execute_in("delete from integrations_requestlog where customer {in}", digests, "bytea")
        gone: Gone = {}
        for digest, count in counts:
            gone.setdefault(digests[digest], Counter())["integrations_requestlog"] += count
        work.record(db, "look-ups", gone)


def forget_audit(work: Work) -> None:
    """Whom the audit's entries were about: the entries stay, and the chain."""
    whose = {
        named: pk
        for pk, subject in work.subjects.items()
        for named in (
            *subject.trace.public_ids,
            *subject.objects,
            *(digest for customer in subject.customers() for digest in _customer_digests(customer)),
        )
    }
    if not work.counted("audit"):
        counts: Gone = {}
        for named, entries in count_objects(whose).items():
            counts.setdefault(whose[named], Counter())["access_auditentry (made anonymous)"] += entries
        with transaction.atomic():
            work.record(database(), "audit", counts, done=False)
    forget_objects(whose)
    _forget_console_log(whose)
    with transaction.atomic():
        work.record(database(), "audit", {})


def _customer_digests(customer: str) -> list[str]:
    """How the widget's reads name a customer."""
    return [digest.hex() for digest in settings.KEYRING.digests("customer", customer)]


def _forget_console_log(ids: Iterable[str]) -> None:
    """The console's own history of a person's page."""
    from django.contrib.admin.models import LogEntry

    LogEntry.objects.filter(object_repr__in=list(ids)).update(object_repr="erased", object_id=None, change_message="")


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise Unreachable(f"A file of an access package cannot be deleted ({type(error).__name__}).") from error
