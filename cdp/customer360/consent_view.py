"""The consent ledger as it is read: every statement of a person, newest first, and the vocabulary."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django.db.models import QuerySet
from rest_framework.request import Request

from cdp.access.rights import masked
from cdp.consents.ledger import open_consent
from cdp.consents.models import ConsentRecord, Purpose
from cdp.core.clock import iso, iso_or_none, now_us, parse_time
from cdp.core.errors import Invalid
from cdp.customer360.masking import Clear, shown
from cdp.rest.schema import parameter

AT = parameter("at", "A past moment in ISO 8601, such as 2026-01-31T12:00:00Z: the state then. Without it: now.")


class PurposePart(msgspec.Struct, frozen=True, rename="camel"):
    """What people are asked for. `unknown`: `allow` or `deny`, while nothing was said.

    `alsoCalled`: further names under which messages may speak of it in their consent preferences.
    """

    code: str
    name: str
    group: str | None
    also_called: list[str]
    description: str
    unknown: str
    builtin: bool


class StatementPart(msgspec.Struct, frozen=True, rename="camel"):
    """A row of the ledger.

    `at` is when it was stated, `recordedAt` when it was written. `cause`: `statement`; `merge` (by the rule that the
    more restrictive state wins; counts while `mergeId` is active); `gpc` and `preferences` (carried by `eventId`).
    Address and metadata are masked for those without the right to see personal data.
    """

    id: str
    profile_id: str
    consent_type: str
    granted: bool
    at: str
    recorded_at: str
    expires_at: str | None
    source: str | None
    document_version: str | None
    cause: str
    merge_id: str | None
    event_id: str | None
    ip_address: str | None
    metadata: dict[str, Any]


def purpose_parts() -> list[PurposePart]:
    """The vocabulary as it is now: one query."""
    return [
        PurposePart(one.code, one.name, one.group or None, one.also_called, one.description, one.unknown, one.builtin)
        for one in Purpose.objects.order_by("position", "code")
    ]


def statements_of(profiles: Sequence[int], *, kind: str = "") -> QuerySet[ConsentRecord]:
    """The ledger of the person with these profiles, what was written last first."""
    rows = ConsentRecord.objects.filter(profile_id__in=profiles).select_related("profile").order_by("-id")
    return rows.filter(type=kind) if kind else rows


def statement_parts(rows: Iterable[ConsentRecord], *, clear: Clear) -> list[StatementPart]:
    """Rows of the ledger (with their profiles) as they are shown: no further query."""
    return [_part(row, clear=clear) for row in rows]


def moment_asked(request: Request) -> int | None:
    """`at` of the query (µs); None: now. Raises Invalid for what is no time and for the future."""
    text = request.query_params.get("at", "").strip()
    if not text:
        return None
    at = parse_time(text)
    if at is None:
        message = "`at` must be a time in ISO 8601, such as 2026-01-31T12:00:00Z."
        raise Invalid(message, code="invalid_date", details={"path": "at"})
    if at > now_us():
        message = "`at` must not lie in the future: nobody knows what will be said."
        raise Invalid(message, code="in_the_future", details={"path": "at"})
    return at


def _part(row: ConsentRecord, *, clear: Clear) -> StatementPart:
    body = open_consent(row.body)
    return StatementPart(
        id=str(row.public_id),
        profile_id=str(row.profile.public_id),
        consent_type=row.type,
        granted=row.granted,
        at=iso(row.at),
        recorded_at=iso(row.recorded_at or row.at),
        expires_at=iso_or_none(row.expires_at),
        source=row.source or None,
        document_version=row.document or None,
        cause=row.cause,
        merge_id=str(row.merge) if row.merge else None,
        event_id=bytes(row.event).hex() if row.event else None,
        ip_address=(body.ip if clear else masked(body.ip)) if body.ip else None,
        metadata=shown("", body.metadata or {}, clear=clear),
    )
