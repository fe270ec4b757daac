"""What a person did, in a package: events, sessions, and why their profiles are one person."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from cdp.core.clock import SECOND, iso, iso_or_none
from cdp.core.json import decode
from cdp.customer360.event_view import event_id
from cdp.customer360.merge_story import merges_of
from cdp.customer360.timeline import each_event
from cdp.events.models import Session
from cdp.identities.models import IdentifierType, IdentityLog
from cdp.privacy.package_part import Part, Record, Subject
from cdp.profiles.models import KeepApart, Merge

_AT_ONCE = 2_000


class EventRecord(Record, frozen=True):
    """One event. What only the history still has is without session, device, message id and what was personal in it."""

    id: str
    message_id: str | None
    call: str
    type: str
    name: str
    category: str | None
    at: str
    received_at: str
    source: str | None
    session_id: str | None
    device_id: str | None
    properties: dict[str, Any]
    context: dict[str, Any]
    profile_id: str


class SessionRecord(Record, frozen=True):
    """A stretch of activity."""

    id: str
    started_at: str
    ended_at: str
    seconds: int
    event_count: int
    entry: dict[str, Any]
    profile_id: str


class MergeRecord(Record, frozen=True):
    """Two profiles that were taken for one person, `why`, and until when if it was undone."""

    id: str
    at: str
    undone_at: str | None
    why: str
    strategy: str
    event_id: str | None
    target_id: str
    source_id: str


class SeparationRecord(Record, frozen=True):
    """Two profiles that are kept apart since a merge of them was undone."""

    at: str
    lifted_at: str | None
    merge_id: str | None


class DecisionRecord(Record, frozen=True):
    """What was decided about the identity of a profile, and by which rule."""

    at: str
    decision: str
    rule: str
    identifier_type: str | None
    event_id: str | None
    profile_id: str


def _events(subject: Subject) -> Iterator[EventRecord]:
    for event in each_event(subject.numbers, until=subject.now, clear=True):
        yield EventRecord(
            id=event.id,
            message_id=event.message_id or None,
            call=event.call,
            type=event.type,
            name=event.event_name,
            category=event.event_category,
            at=event.timestamp,
            received_at=event.received_at,
            source=event.source,
            session_id=event.session_id,
            device_id=event.device_id,
            properties=event.properties,
            context=event.context,
            profile_id=event.fragment_id or "",
        )


def _sessions(subject: Subject) -> Iterator[SessionRecord]:
    rows = Session.objects.filter(profile_id__in=subject.numbers).order_by("-started", "-id")
    for row in rows.iterator(chunk_size=_AT_ONCE):
        yield SessionRecord(
            id=str(row.public_id),
            started_at=iso(row.started),
            ended_at=iso(row.last),
            seconds=(row.last - row.started) // SECOND,
            event_count=row.event_count,
            entry=decode(row.entry),
            profile_id=subject.ids[row.profile_id],
        )


def _merges(subject: Subject) -> Iterator[MergeRecord]:
    rows = {str(row.public_id): row for row in Merge.objects.filter(_touching(subject, "target", "source"))}
    for story in merges_of(subject.numbers, clear=True):
        row = rows.get(story.public_id)
        if row is not None:
            yield MergeRecord(
                id=story.public_id,
                at=iso(row.created_at),
                undone_at=iso_or_none(row.undone_at),
                why=story.sentence,
                strategy=story.strategy,
                event_id=story.event,
                target_id=story.target,
                source_id=story.source,
            )


def _separations(subject: Subject) -> Iterator[SeparationRecord]:
    rows = KeepApart.objects.filter(_touching(subject, "first", "second")).select_related("merge").order_by("-id")
    for row in rows:
        yield SeparationRecord(
            at=iso(row.created_at),
            lifted_at=iso_or_none(row.lifted_at),
            merge_id=None if row.merge is None else str(row.merge.public_id),
        )


def _decisions(subject: Subject) -> Iterator[DecisionRecord]:
    codes = dict(IdentifierType.objects.values_list("pk", "code"))
    rows = IdentityLog.objects.filter(profile_id__in=subject.numbers).order_by("-id")
    for row in rows.iterator(chunk_size=_AT_ONCE):
        yield DecisionRecord(
            at=iso(row.at),
            decision=row.get_kind_display(),
            rule=row.rule,
            identifier_type=None if row.type_id is None else codes.get(row.type_id),
            event_id=None if row.event is None else event_id(row.event),
            profile_id=subject.ids[row.profile_id or 0],
        )


def _touching(subject: Subject, *sides: str) -> Q:
    first, second = (Q(**{f"{side}_id__in": subject.numbers}) for side in sides)
    return first | second


ACTIVITY_PARTS = (
    Part("events", "Events", "What you did, newest first.",
         ("events.Event",), EventRecord, _events,
         ("at", "name", "type", "source", "properties", "context"), given=True),
    Part("sessions", "Visits", "Stretches of activity, newest first.",
         ("events.Session",), SessionRecord, _sessions,
         ("started_at", "seconds", "event_count", "entry"), given=True),
    Part("merges", "Merges", "Why we take several profiles for you.",
         ("profiles.Merge",), MergeRecord, _merges, ("at", "why", "undone_at")),
    Part("separations", "Separations", "Profiles that we keep apart from yours.",
         ("profiles.KeepApart",), SeparationRecord, _separations, ("at", "lifted_at", "merge_id")),
    Part("decisions", "Identity decisions", "What was decided about which profile is yours, newest first.",
         ("identities.IdentityLog",), DecisionRecord, _decisions, ("at", "decision", "rule", "identifier_type")),
)  # fmt: skip
