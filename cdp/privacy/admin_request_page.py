"""What the page of a request shows."""

import json
from typing import Any

import msgspec
from django.urls import NoReverseMatch, reverse

from cdp.access.admin_pages import moment
from cdp.access.audit_search import actor_names
from cdp.access.rights import Rights
from cdp.core.clock import parse_time
from cdp.privacy.alerts import left_in_words
from cdp.privacy.api.request_view import RequestDetails, details_of
from cdp.privacy.deadlines import EXTENSION_DAYS, days_left
from cdp.privacy.holds import held
from cdp.privacy.links import mail_works
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.notes import MAX_FILE
from cdp.privacy.request_story import story_of
from cdp.privacy.requests import HOW

_SOON, _NEAR = 2, 7


class Line(msgspec.Struct, frozen=True):
    """Something that happened, for people."""

    when: str
    text: str
    who: str


class NoteLine(msgspec.Struct, frozen=True):
    """A note or a file, for people; `size` is in KB."""

    id: str
    when: str
    who: str
    text: str
    file_name: str
    size: str


class RequestPage(msgspec.Struct, frozen=True):
    """Everything that the template needs."""

    view: RequestDetails
    steps: list[str]
    deadline: str
    deadline_look: str
    due: str
    received: str
    ended: str
    verified: str
    how: list[tuple[str, str]]
    story: list[Line]
    notes: list[NoteLine]
    changes: str
    clear: bool
    erased: bool
    held: bool
    mail_works: bool
    person_pk: int | None
    erasure_link: str
    most_days: int
    max_file: str
    link_until: str


def deadline_look(left: int) -> str:
    """The colour of a deadline: the words beside it say the same."""
    return "pf-bad" if left < _SOON else "pf-warn" if left < _NEAR else "pf-good"


def request_page(row: PrivacyRequest, *, rights: Rights, now: int) -> RequestPage:
    """The page of a request at `now` (µs): a constant number of queries."""
    view = details_of(row, rights=rights)
    left = days_left(row, now=now)
    person = row.person.person_id if row.person_id is not None and row.person is not None else None
    names = actor_names(note.actor for note in view.notes)
    deletion = row.kind == PrivacyRequest.Kind.DELETION
    return RequestPage(
        view=view,
        steps=view.next,
        deadline=left_in_words(left),
        deadline_look=deadline_look(left) if left is not None else "",
        due=moment(row.due_at),
        received=moment(row.created_at),
        ended=moment(row.ended_at),
        verified=moment(row.verified_at),
        how=[(code, text) for code, text in HOW.items() if code != "controller"],
        story=[Line(moment(happened.at), happened.text, happened.who) for happened in story_of(row)],
        notes=[
            NoteLine(n.id, moment(parse_time(n.at)), names.get(n.actor) or n.actor, n.text, n.file_name, _size(n.size))
            for n in reversed(view.notes)
        ],
        changes=_pretty(view.changes),
        clear=rights.sees_personal,
        erased=row.body is None,
        held=deletion and person is not None and bool(held([person])),
        mail_works=mail_works(),
        person_pk=person,
        erasure_link=_erasure_link(row),
        most_days=EXTENSION_DAYS[PrivacyRequest.Regulation(row.regulation)],
        max_file=f"{MAX_FILE // 1024 // 1024} MB",
        link_until=moment(row.link_expires_at) if row.link is not None else "",
    )


def _pretty(changes: dict[str, Any]) -> str:
    return json.dumps(changes, indent=2, ensure_ascii=False) if changes else ""


def _size(size: int | None) -> str:
    return "" if size is None else f"{max(1, size // 1024)} KB"


def _erasure_link(row: PrivacyRequest) -> str:
    number = row.erasures.order_by("-id").values_list("pk", flat=True).first()
    try:
        return reverse("admin:privacy_erasure_change", args=[number]) if number is not None else ""
    except NoReverseMatch:
        return ""
