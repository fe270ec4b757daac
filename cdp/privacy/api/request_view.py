"""A request as the API shows it."""

from typing import Any

import msgspec

from cdp.access.rights import Rights, masked
from cdp.core.clock import iso, iso_or_none, now_us
from cdp.core.crypto import KeyMissing
from cdp.privacy.deadlines import days_left
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.notes import NoteView, notes_of
from cdp.privacy.package_link import package_link
from cdp.privacy.request_body import RequestBody, open_body
from cdp.privacy.steps import steps_of


class RequestView(msgspec.Struct, frozen=True, rename="camel"):
    """A request without whom. `next`: the steps that are possible; `daysLeft` is negative when it is late."""

    id: str
    type: str
    regulation: str
    status: str
    channel: str
    external_id: str | None
    created_at: str
    created_by: str
    verified_at: str | None
    verified_by: str
    due_at: str
    days_left: int | None
    extended_at: str | None
    ended_at: str | None
    outcome: str
    next: list[str]

    @classmethod
    def of(cls, row: PrivacyRequest, *, now: int) -> "RequestView":
        """The view of a row at `now` (µs)."""
        return cls(**_plain(row, now=now))


class OpenedRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What was opened, or found open (`duplicate`). It does not say whether anybody is known."""

    id: str
    type: str
    regulation: str
    status: str
    created_at: str
    due_at: str
    duplicate: bool
    message: str

    @classmethod
    def of(cls, row: PrivacyRequest) -> "OpenedRequest":
        """The answer to whoever opened it."""
        return cls(
            id=str(row.public_id),
            type=row.kind,
            regulation=row.regulation,
            status=row.status,
            created_at=iso(row.created_at),
            due_at=iso(row.due_at),
            duplicate=row.duplicate,
            message=_MESSAGES[row.duplicate] if row.status == PrivacyRequest.Status.UNVERIFIED else "",
        )


class RequestDetails(RequestView, frozen=True, rename="camel"):
    """A request with whom it is about, masked for those who may not see personal data, and what was written to it."""

    profile_id: str | None
    identifiers: dict[str, str]
    contact: str
    changes: dict[str, Any]
    reason: str
    package_url: str | None
    erasure_id: str | None
    link_expires_at: str | None
    notes: list[NoteView]


_MESSAGES = {
    False: "It waits for verification: by the link that was sent to the person's own address if we hold one, or by an"
    " officer.",
    True: "The same was asked before and is still open.",
}


def details_of(row: PrivacyRequest, *, rights: Rights) -> RequestDetails:
    """Everything about a request: a constant number of queries."""
    clear = rights.sees_personal
    try:
        body = open_body(row)
    except KeyMissing:
        body = RequestBody(reason="The key that this was encrypted with is gone.")
    person = row.person.person if row.person_id is not None and row.person is not None else None
    erasure = row.erasures.order_by("-id").values_list("public_id", flat=True).first()
    return RequestDetails(
        **_plain(row, now=now_us()),
        profile_id=str(person.public_id) if person is not None else None,
        identifiers={name: value if clear else masked(value) for name, value in body.identifiers.items()},
        contact=body.contact if clear or not body.contact else masked(body.contact),
        changes=body.changes if clear else dict.fromkeys(body.changes, "***"),
        reason=body.reason if clear or not body.reason else "***",
        package_url=package_link(row, body) if rights.sees_all else None,
        erasure_id=str(erasure) if erasure is not None else None,
        link_expires_at=iso_or_none(row.link_expires_at),
        notes=notes_of(row, clear=clear),
    )


def _plain(row: PrivacyRequest, *, now: int) -> dict[str, Any]:
    return {
        "id": str(row.public_id),
        "type": row.kind,
        "regulation": row.regulation,
        "status": row.status,
        "channel": row.channel,
        "external_id": row.external_id,
        "created_at": iso(row.created_at),
        "created_by": row.created_by,
        "verified_at": iso_or_none(row.verified_at),
        "verified_by": row.verified_by,
        "due_at": iso(row.due_at),
        "days_left": days_left(row, now=now),
        "extended_at": iso_or_none(row.extended_at),
        "ended_at": iso_or_none(row.ended_at),
        "outcome": row.outcome,
        "next": steps_of(row),
    }
