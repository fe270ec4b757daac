"""The 360° page of a person: what a human reads, made from the same parts as the API's answer."""

import json
from typing import Any

import msgspec

from cdp.access.admin_pages import moment
from cdp.consents.models import ConsentRecord
from cdp.consents.purposes import purpose_names
from cdp.consents.state import ConsentState, consents_of
from cdp.core.clock import MINUTE, SECOND, parse_time
from cdp.customer360.consent_view import statements_of
from cdp.customer360.event_view import EventView
from cdp.customer360.journey import journey_of
from cdp.customer360.masking import Clear, is_hidden, note, shown
from cdp.customer360.merge_story import MergeStory, merges_of
from cdp.customer360.page_scores import Bar, Figure, bars, figures, profile_bars
from cdp.customer360.parts import Parts, parts_of, source_names
from cdp.customer360.people_rows import NO_NAME, name_of
from cdp.customer360.timeline import EventFilter, timeline
from cdp.customer360.view import contact, derived_parts, identity_value
from cdp.events.sessions_view import SessionView, sessions_of
from cdp.lake.measures.formula import STAGES
from cdp.profiles.models import Profile

PAGE = 25
CONSENTS = 20
_SOURCES = {"merge": "merge", "gpc": "Global Privacy Control", "preferences": "an event's preferences"}
_ICONS = {
    "PAGE_VIEW": "visibility", "PRODUCT_VIEW": "shopping_bag", "ADD_TO_CART": "add_shopping_cart",
    "PURCHASE": "payments", "LOGIN": "login", "LOGOUT": "logout", "SEARCH": "search", "EMAIL_OPEN": "drafts",
    "BUTTON_CLICK": "ads_click", "FORM_SUBMIT": "assignment", "PROFILE_UPDATE": "badge",
    "MESSAGE_SENT": "send", "MESSAGE_READ": "mark_email_read", "DOCUMENT_VIEW": "description",
    "DOCUMENT_UPLOAD": "upload_file", "QUOTE_REQUEST": "request_quote", "QUOTE_VIEW": "request_quote",
    "POLICY_VIEW": "policy", "CLAIM_SUBMIT": "report",
}  # fmt: skip


class IdentityRow(msgspec.Struct, frozen=True):
    """An identifier as the page shows it."""

    type: str
    value: str
    verified: str
    trusted: bool
    linking: bool
    primary: bool
    first_seen: str
    fragment: int


class TraitRow(msgspec.Struct, frozen=True):
    """A golden value with its provenance as the page shows it."""

    key: str
    value: str
    source: str
    at: str
    rule: str
    verified: bool
    expires: str
    fragment: int


class SessionRow(msgspec.Struct, frozen=True):
    """A session as the page shows it."""

    started: str
    duration: str
    events: int
    entry: list[str]
    parts: int


class EventRow(msgspec.Struct, frozen=True):
    """A line of the timeline."""

    id: str
    icon: str
    name: str
    type: str
    when: str
    timestamp: str
    source: str
    summary: str


class TimelineRows(msgspec.Struct, frozen=True):
    """A stretch of the timeline, and the cursor of what comes before it in time."""

    rows: list[EventRow]
    next: str | None


class FragmentRow(msgspec.Struct, frozen=True):
    """A profile of the person: the number by which the page refers to it, its id, and since when."""

    number: int
    public_id: str
    created: str
    events: int


class ConsentRow(msgspec.Struct, frozen=True):
    """The state of a consent, or a statement about it; `word` says which: granted, withdrawn, has run out."""

    label: str
    granted: bool
    word: str
    at: str
    source: str
    until: str
    document: str


class ConsentCard(msgspec.Struct, frozen=True):
    """What the person allows, the latest statements, and what there is to state (code → name)."""

    states: list[ConsentRow]
    history: list[ConsentRow]
    purposes: dict[str, str]


class StepRow(msgspec.Struct, frozen=True):
    """A milestone."""

    name: str
    when: str
    event_id: str


class PersonPage(msgspec.Struct, frozen=True):
    """Everything on the page, as text that needs no further thought."""

    person_id: int
    public_id: str
    name: str
    contact: str
    masking: str
    figures: list[Figure]
    score: int
    bars: list[Bar]
    profile_score: int
    profile_bars: list[Bar]
    stage: str
    identities: list[IdentityRow]
    traits: list[TraitRow]
    consents: ConsentCard
    journey: list[StepRow]
    sessions: list[SessionRow]
    merges: list[MergeStory]
    fragments: list[FragmentRow]
    timeline: TimelineRows


def person_page(person: Profile, *, wanted: EventFilter, cursor: str, now: int, clear: Clear) -> PersonPage:
    """The page of `person` at `now` (µs), masked unless `clear`, with the timeline from `cursor` on.

    Seventeen queries at most, whatever the person has.
    """
    parts = parts_of(person, now=now)
    numbers = {fragment.pk: number for number, fragment in enumerate(parts.fragments, 1)}
    name = shown("name", name_of(parts.record), clear=clear)
    reach = contact(parts, "email") or contact(parts, "phone")
    user_id = parts.identifier("user_id")
    return PersonPage(
        person_id=person.pk,
        public_id=str(person.public_id),
        name=name or (identity_value(user_id, clear=clear) if user_id else "") or NO_NAME,
        contact=shown("email", reach, clear=clear) or "",
        masking=note(clear),
        figures=figures(parts),
        score=parts.engagement.overall,
        bars=bars(parts),
        profile_score=parts.score.score,
        profile_bars=profile_bars(parts),
        stage=STAGES[str(parts.measures["lifecycleStage"])],
        identities=_identities(parts, numbers, clear=clear),
        traits=_traits(parts, numbers, clear=clear),
        consents=_consents(parts, now=now),
        journey=[
            StepRow(step.step_name, moment(parse_time(step.occurred_at)), step.event_id)
            for step in journey_of(parts.fragment_ids)
        ],
        sessions=[_session(session) for session in sessions_of(parts.fragment_ids, limit=20)],
        merges=merges_of(parts.fragment_ids, clear=clear),
        fragments=[
            FragmentRow(numbers[f.pk], str(f.public_id), moment(f.created_at), f.event_count) for f in parts.fragments
        ],
        timeline=timeline_rows(person, wanted=wanted, cursor=cursor, clear=clear),
    )


def timeline_rows(person: Profile, *, wanted: EventFilter, cursor: str, clear: Clear) -> TimelineRows:
    """`PAGE` lines of the timeline from `cursor` on: four queries."""
    page = timeline(person, cursor=cursor, limit=PAGE, wanted=wanted, clear=clear)
    return TimelineRows(rows=[_event(view) for view in page.data], next=page.next)


def _identities(parts: Parts, numbers: dict[int, int], *, clear: Clear) -> list[IdentityRow]:
    return [
        IdentityRow(
            type=identifier.type.replace("_", " ") + (f" · {identifier.namespace}" if identifier.namespace else ""),
            value=identity_value(identifier, clear=clear),
            verified="" if identifier.verified_at is None else moment(identifier.verified_at),
            trusted=identifier.trusted,
            linking=identifier.linking,
            primary=identifier.primary,
            first_seen=moment(identifier.first_seen),
            fragment=numbers[identifier.profile_id],
        )
        for identifier in parts.identifiers
    ]


def _traits(parts: Parts, numbers: dict[int, int], *, clear: Clear) -> list[TraitRow]:
    names = source_names()
    derived = [
        TraitRow(
            key=part.trait_key,
            value=_text(part.trait_value),
            source=str(part.source),
            at=moment(parse_time(part.computed_at)),
            rule=part.rule,
            verified=False,
            expires="",
            fragment=1,
        )
        for part in derived_parts(parts, clear=clear)
    ]
    return derived + [
        TraitRow(
            key=key,
            value=_text(shown(key, value.value, clear=clear)),
            source=value.label or names.get(value.source_id, "–"),
            at=moment(value.at),
            rule=value.rule,
            verified=value.verified,
            expires="" if value.expires_at is None else moment(value.expires_at),
            fragment=numbers[value.profile_id],
        )
        for key, value in sorted(parts.record.values.items())
        if not is_hidden(key, clear)
    ]


def _consents(parts: Parts, *, now: int) -> ConsentCard:
    """Three queries."""
    labels = purpose_names()
    said = statements_of(parts.fragment_ids).defer("body")[:CONSENTS]
    return ConsentCard(
        states=[_consent(labels, state, now=now) for state in consents_of(parts.fragment_ids, now=now)],
        history=[_consent(labels, row, now=now) for row in said],
        purposes=labels,
    )


def _consent(labels: dict[str, str], said: ConsentState | ConsentRecord, *, now: int) -> ConsentRow:
    over = said.expires_at is not None and said.expires_at <= now
    withdrawn = "withdrawn by a merge" if said.cause == "merge" else "withdrawn"
    return ConsentRow(
        label=labels.get(said.type, said.type),
        granted=said.granted and not over,
        word="has run out" if over else "granted" if said.granted else withdrawn,
        at=moment(said.at),
        source=_SOURCES.get(said.cause, said.source) or "–",
        until="" if said.expires_at is None else moment(said.expires_at),
        document=said.document,
    )


def _session(session: SessionView) -> SessionRow:
    minutes, rest = divmod(session.duration, MINUTE)
    entry = [f"{name.removeprefix('utm_')}: {value}" for name, value in session.entry.items() if value]
    return SessionRow(
        started=moment(session.started),
        duration=f"{minutes} min {rest // SECOND} s" if minutes else f"{rest // SECOND} s",
        events=session.event_count,
        entry=entry,
        parts=len(session.parts),
    )


def _event(view: EventView) -> EventRow:
    summary = [f"{key}: {_text(value)}" for key, value in view.properties.items() if value not in (None, "", [], {})]
    text = " · ".join(summary[:4])
    return EventRow(
        id=view.id,
        icon=_ICONS.get(view.event_type, "bolt"),
        name=view.event_name or view.call,
        type=view.event_type.replace("_", " ").lower(),
        when=moment(parse_time(view.timestamp)),
        timestamp=view.timestamp,
        source=view.source or "–",
        summary=text if len(text) <= 160 else f"{text[:157]}…",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
