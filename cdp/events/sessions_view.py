"""The sessions of a person: those of all its profiles, with the ones that belong together shown as one (E8)."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from django.conf import settings

from cdp.events.models import Session
from cdp.events.sessions import GAP
from cdp.profiles.models import Profile


class SessionView(msgspec.Struct, frozen=True):
    """A stretch of activity; `parts` are the ids of the sessions it is made of, times are µs."""

    id: uuid.UUID
    started: int
    last: int
    event_count: int
    entry: dict[str, Any]
    parts: tuple[uuid.UUID, ...]
    stopped: bool = False

    @property
    def duration(self) -> int:
        """Microseconds from the first to the last event."""
        return self.last - self.started


def person_of_session(session_id: str) -> Profile | None:
    """The first profile of the person who had the session that a client named `session_id`; the latest if several."""
    keys = settings.KEYRING.digests("session", session_id)
    row = Session.objects.filter(key__in=keys).select_related("profile__person").order_by("-last", "-id").first()
    return row.profile.person if row else None


def sessions_of(fragments: Sequence[int], *, limit: int = 50) -> list[SessionView]:
    """The latest sessions of the profiles `fragments`, newest first: one query.

    Two sessions of different profiles that overlap, or lie no more than 30 minutes apart, are one: the person did it
    once, before and after we knew who it was. Two of the same profile that do not overlap stay apart, because the
    client named or stopped them. At most `limit` stored sessions are read.
    """
    rows = Session.objects.filter(profile_id__in=fragments).order_by("-last", "-id")[:limit]
    groups: list[list[Session]] = []
    for row in sorted(rows, key=lambda session: (session.started, session.id)):
        if groups and _belongs(groups[-1], row):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [_view(group) for group in reversed(groups)]


def _belongs(group: list[Session], row: Session) -> bool:
    last = max(session.last for session in group)
    if row.started <= last:
        return True
    return row.started - last <= GAP and all(session.profile_id != row.profile_id for session in group)


def _view(group: list[Session]) -> SessionView:
    first = group[0]
    return SessionView(
        id=first.public_id,
        started=first.started,
        last=max(session.last for session in group),
        event_count=sum(session.event_count for session in group),
        entry=json.loads(first.entry),
        parts=tuple(session.public_id for session in group),
        stopped=group[-1].stopped,
    )
