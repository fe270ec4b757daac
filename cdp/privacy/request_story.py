"""What happened to a request, told from the audit."""

from typing import NamedTuple

from cdp.access.audit_search import actor_names
from cdp.access.models import AuditEntry
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.requests import HOW
from cdp.privacy.steps import OBJECT

_MOST = 200
_WORDS = {
    "open": "Opened", "verify": "Verified", "send link": "A new link was mailed to the person",
    "lock link": "The link was locked: too many wrong tries", "process": "Begun to carry out", "complete": "Completed",
    "extend": "The deadline was extended", "reject": "Rejected", "cancel": "Cancelled", "add note": "A note was added",
    "add file": "A file was added", "read file": "A file was downloaded",
}  # fmt: skip
_ACTORS = {"link": "the person, by the link", "token": "the shop's server, by a token", "system": "the system"}


class Happening(NamedTuple):
    """One thing that happened; `at` in µs."""

    at: int
    text: str
    who: str


def story_of(request: PrivacyRequest) -> list[Happening]:
    """What happened, oldest first, and who did it: two queries. Looking at it is left out."""
    entries = list(
        AuditEntry.objects.about(str(request.public_id))
        .filter(object_type=OBJECT, action__in=_WORDS)
        .order_by("id")[:_MOST]
    )
    names = actor_names(entry.actor for entry in entries)
    return [
        Happening(entry.at, _text(entry), _ACTORS.get(entry.actor) or names.get(entry.actor) or entry.actor)
        for entry in entries
    ]


def _text(entry: AuditEntry) -> str:
    text = _WORDS[entry.action]
    if entry.action == "verify" and entry.why in HOW:
        return f"{text}: {HOW[entry.why][0].lower()}{HOW[entry.why][1:]}"
    return f"{text} by {entry.why}" if entry.action == "extend" and entry.why else text
