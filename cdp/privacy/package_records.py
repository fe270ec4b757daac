"""What was done about a person's data, in a package: requests, packages, holds, and who read or changed it."""

from collections.abc import Iterator

from cdp.access.audit_search import each_entry
from cdp.access.models import AuditEntry
from cdp.core.clock import iso, iso_or_none
from cdp.privacy.models import AccessPackage, LegalHold, PrivacyRequest
from cdp.privacy.package_part import Part, Record, Subject


class RequestRecord(Record, frozen=True):
    """A request about the person's data."""

    id: str
    kind: str
    regulation: str
    status: str
    channel: str
    created_at: str
    verified_at: str | None
    due_at: str
    ended_at: str | None
    outcome: str | None


class PackageRecord(Record, frozen=True):
    """A package like this one that was made before."""

    id: str
    created_at: str
    expires_at: str
    downloads: int
    last_download_at: str | None


class HoldRecord(Record, frozen=True):
    """A time in which the data must be kept."""

    placed_at: str
    released_at: str | None


class AccessRecord(Record, frozen=True):
    """Somebody (`by`: a user, key or command by number) who read, exported or changed something of the person."""

    at: str
    by: str
    action: str
    what: str
    fields: list[str]


def _requests(subject: Subject) -> Iterator[RequestRecord]:
    for row in PrivacyRequest.objects.filter(person_id__in=subject.numbers).order_by("-id"):
        yield RequestRecord(
            id=str(row.public_id),
            kind=row.get_kind_display(),
            regulation=row.get_regulation_display(),
            status=row.get_status_display(),
            channel=row.channel,
            created_at=iso(row.created_at),
            verified_at=iso_or_none(row.verified_at),
            due_at=iso(row.due_at),
            ended_at=iso_or_none(row.ended_at),
            outcome=row.outcome or None,
        )


def _packages(subject: Subject) -> Iterator[PackageRecord]:
    for row in AccessPackage.objects.filter(person_id__in=subject.numbers, status=AccessPackage.Status.READY).order_by(
        "-id"
    ):
        yield PackageRecord(
            str(row.public_id), iso(row.created_at), iso(row.expires_at), row.fetches, iso_or_none(row.fetched_at)
        )


def _holds(subject: Subject) -> Iterator[HoldRecord]:
    for row in LegalHold.objects.filter(person_id__in=subject.numbers).order_by("-id"):
        yield HoldRecord(iso(row.created_at), iso_or_none(row.released_at))


def _accesses(subject: Subject) -> Iterator[AccessRecord]:
    """One profile after the other; an entry that names several of them comes once."""
    before: list[str] = []
    for public_id in subject.ids.values():
        for row in each_entry(AuditEntry.objects.about(public_id).filter(at__lte=subject.now)):
            if not any(other in row.object_ids for other in before):
                yield AccessRecord(iso(row.at), row.actor, row.action, row.object_type, row.fields)
        before.append(public_id)


RECORD_PARTS = (
    Part("requests", "Requests", "What you asked about your data.",
         ("privacy.PrivacyRequest",), RequestRecord, _requests,
         ("created_at", "kind", "status", "due_at", "ended_at", "outcome")),
    Part("packages", "Packages", "Earlier packages like this one.",
         ("privacy.AccessPackage",), PackageRecord, _packages,
         ("created_at", "expires_at", "downloads", "last_download_at")),
    Part("holds", "Legal holds", "Times in which we must keep your data.",
         ("privacy.LegalHold",), HoldRecord, _holds, ("placed_at", "released_at")),
    Part("accesses", "Who looked", "Every time that somebody read, exported or changed your data by hand or by a key.",
         ("access.AuditEntry",), AccessRecord, _accesses, ("at", "by", "action", "what", "fields")),
)  # fmt: skip
