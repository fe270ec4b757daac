"""Planning a micro-batch: from waiting rows to everything that one transaction has to write.

Reads and thinks without a lock. `Plan.write` is called inside the transaction that holds the fence.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.conf import settings

from cdp.access.source import SourceRef
from cdp.consents.merging import restrict_consents
from cdp.core.bulk import Database, Deferred
from cdp.core.clock import DAY
from cdp.core.crypto import KeyMissing
from cdp.events.body import CarriedIdentifier, EventBody, seal_body
from cdp.events.rows import EVENTS, QUARANTINE
from cdp.events.sessions import SessionRow, Sessions
from cdp.identities.decisions import Decision
from cdp.identities.population import load_population, store_population
from cdp.identities.resolve import Candidate, Population, Resolution, Resolver
from cdp.pipeline.counters import count
from cdp.pipeline.lease import Ground
from cdp.pipeline.message import CALLS, unseal
from cdp.pipeline.reading import Reader, Reading
from cdp.profiles.models import Profile
from cdp.profiles.rows import MERGES, ProfileRow, load_profiles, store_profiles
from cdp.traits.apply import apply_traits, load_documents, store_documents
from cdp.traits.document import Document


@dataclass(frozen=True, slots=True)
class Waiting:
    """An inbox row."""

    id: int
    digest: bytes
    source_id: int
    received: int
    body: bytes


@dataclass(slots=True)
class Failure:
    """A message that cannot be processed, and why."""

    waiting: Waiting
    code: str
    reason: str


@dataclass(slots=True)
class Plan:
    """What a micro-batch will write."""

    now: int
    waiting: Sequence[Waiting]
    failures: list[Failure] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    resolutions: list[Resolution] = field(default_factory=list)
    population: Population | None = None
    profiles: dict[int, ProfileRow] = field(default_factory=dict)
    documents: dict[int, Document] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    sessions: Sessions = field(default_factory=Sessions)
    placed: list[SessionRow | None] = field(default_factory=list)
    outcomes: Counter[tuple[int, str]] = field(default_factory=Counter)
    writes: Deferred = field(init=False)

    def write(self, db: Database) -> None:
        """Write everything, in the transaction that is open under the fence; a constant number of statements."""
        self.writes.run(db)

    def prepare(self, database: Database) -> None:
        """Put every row together, sealed and all, so that `write` holds its lock only while the store works."""
        db = self.writes = Deferred(database)
        if self.population is not None:
            self._write_identities(db, self.population)
        store_documents(db, {profile: self.documents[profile] for profile in self.changed}, now=self.now)
        self.sessions.assign_ids(db)
        self.sessions.store(db)
        db.insert(EVENTS, [self._event_row(n) for n in range(len(self.readings))])
        db.insert(QUARANTINE, [_quarantine_row(failure) for failure in self.failures], conflict=_OPEN_AGAIN)
        db.execute_in("delete from pipeline_inboxmessage where id {in}", [row.id for row in self.waiting], "bigint")
        count(db, self.outcomes, day=self.now // DAY)

    def _write_identities(self, db: Database, population: Population) -> None:
        people = {profile: population.find(profile) for profile in population.created}
        born = set(population.created)
        moved = {person: final for person, final in population.moved().items() if person not in born}
        db.insert(
            MERGES,
            [
                (
                    new.public_id,
                    new.target_id,
                    new.source_id,
                    new.cause,
                    "rule",
                    True,
                    self.now,
                    new.event,
                    new.via_target,
                    new.via_source,
                    "",
                )
                for new in population.merges
            ],
        )
        restrict_consents(db, [(m.public_id, m.target_id, m.source_id) for m in population.merges], now=self.now)
        store_profiles(db, self.profiles.values(), born=people, moved=moved, now=self.now)
        store_population(db, population, key_version=settings.KEYRING.current, now=self.now)

    def _event_row(self, n: int) -> tuple[Any, ...]:
        reading, resolution, session = self.readings[n], self.resolutions[n], self.placed[n]
        message = reading.message
        carried = [CarriedIdentifier(c.kind.code, c.digest, int(c.use), c.namespace) for c in reading.candidates]
        category = message.category if isinstance(message.category, str) else ""
        body = EventBody(
            message_id=reading.message_id,
            properties=_properties(reading),
            context=_kept_context(reading),
            identifiers=carried,
            warnings=reading.warnings,
            category=category,
            flags=reading.flags,
        )
        return (
            reading.digest,
            resolution.profile_id,
            reading.source.id,
            None if session is None else session.root().id,
            CALLS[message.type],
            reading.type,
            reading.name,
            reading.ts,
            reading.received,
            int(resolution.decision),
            seal_body(body),
        )


def make_plan(db: Database, waiting: Sequence[Waiting], base: Ground, *, now: int, nameless: bool = False) -> Plan:
    """Read, decode, resolve, fold in traits and place in sessions: everything but the writing.

    `nameless` lets a message without any usable identifier make a profile, which only an API user may ask for.
    """
    plan = Plan(now=now, waiting=waiting)
    reader = Reader(base.rules, settings.KEYRING)
    _read(plan, reader, base.sources, nameless=nameless)
    if plan.readings:
        _resolve(db, plan, reader)
        _apply_traits(db, plan)
        _place(db, plan)
    for failure in plan.failures:
        plan.outcomes[failure.waiting.source_id, f"failed:{failure.code}"] += 1
    plan.prepare(db)
    return plan


def _read(plan: Plan, reader: Reader, sources: Mapping[int, SourceRef], *, nameless: bool) -> None:
    for row in plan.waiting:
        source = sources.get(row.source_id)
        if source is None:
            plan.failures.append(Failure(row, "source_deleted", "The source of this message was deleted."))
            continue
        try:
            envelope = unseal(settings.KEYRING, row.body)
            reading = reader.read(envelope, digest=row.digest, source=source, received=row.received)
        except KeyMissing:
            plan.failures.append(Failure(row, "key_missing", "It was encrypted with a key that is not there."))
            continue
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, UnicodeError) as error:
            plan.failures.append(Failure(row, "unreadable", f"It is no message ({type(error).__name__})."))
            continue
        addressed = reading.message.profile_id is not None and source.trusted
        if not addressed and not nameless and not any(candidate.links for candidate in reading.candidates):
            reason = "None of its identifiers can be used: each is blocked, or not trusted from this kind of source."
            plan.failures.append(Failure(row, "no_usable_identifier", reason))
            continue
        plan.readings.append(reading)


def _resolve(db: Database, plan: Plan, reader: Reader) -> None:
    addressed = _addressed(plan)
    population = load_population(
        db,
        reader.rules,
        [reading.candidates for reading in plan.readings],
        versions=reader.versions,
        addressed=dict(addressed.values()),
        now=plan.now,
    )
    plan.population = population
    resolver = Resolver(
        population, reader.rules.kinds.values(), db.new_ids("profiles_profile", _may_be_new(plan, population))
    )
    for reading in plan.readings:
        if reading.message.type == "alias":
            reading.candidates = _alias_candidates(reading.candidates, population)
        resolution = resolver.resolve(
            reading.candidates,
            ts=reading.ts,
            event=reading.digest,
            trusted=reading.source.trusted,
            cause="alias" if reading.message.type == "alias" else "inference",
            addressed=reading.profile_id,
        )
        plan.resolutions.append(resolution)
        source = reading.source.id
        plan.outcomes[source, "processed"] += 1
        if resolution.decision in (Decision.CAPPED, Decision.REFUSED):
            plan.outcomes[source, f"warning:{resolution.decision.name.lower()}"] += 1
        for warning in reading.warnings:
            plan.outcomes[source, f"warning:{warning}"] += 1
    born = set(population.created)
    plan.profiles = load_profiles(db, {r.profile_id for r in plan.resolutions} - born)
    for reading, resolution in zip(plan.readings, plan.resolutions, strict=True):
        row = plan.profiles.get(resolution.profile_id)
        if row is None:
            row = plan.profiles[resolution.profile_id] = ProfileRow(resolution.profile_id, reading.ts, reading.ts)
        row.see(reading.ts)
        if reading.purchase is not None:
            row.buy(reading.ts, *reading.purchase)


def _may_be_new(plan: Plan, population: Population) -> int:
    """How many profiles the batch can create at most: a message that creates one names an identifier nobody owns."""
    return sum(
        not reading.candidates or any(c.digest not in population.owner for c in reading.candidates)
        for reading in plan.readings
    )


def _addressed(plan: Plan) -> dict[str, tuple[int, int]]:
    """The profiles that trusted messages name directly: public id → (id, person); the others become failures."""
    named = {r.message.profile_id for r in plan.readings if r.message.profile_id is not None and r.source.trusted}
    if not named:
        return {}
    rows = Profile.objects.filter(public_id__in=[name for name in named if _is_uuid(name)])
    found = {str(public): (id_, person) for public, id_, person in rows.values_list("public_id", "id", "person_id")}
    kept = []
    waiting = {row.digest: row for row in plan.waiting}
    for reading in plan.readings:
        name = reading.message.profile_id
        if name is None or not reading.source.trusted:
            kept.append(reading)
        elif name in found:
            reading.profile_id = found[name][0]
            kept.append(reading)
        else:
            reason = "It names a profile that does not exist."
            plan.failures.append(Failure(waiting[reading.digest], "unknown_profile", reason))
    plan.readings = kept
    return found


def _alias_candidates(candidates: list[Candidate], population: Population) -> list[Candidate]:
    """Of a previous id, which may be a user id or an anonymous one, the kind that is known; else anonymous."""
    users = [c for c in candidates if c.kind.code == "user_id"]
    if len(users) < 2:
        return candidates
    previous = users[1]
    other = "anonymous_id" if previous.digest in population.owner else None
    return (
        [c for c in candidates if c is not previous]
        if other is None
        else [c for c in candidates if not (c.kind.code == other and c.value == previous.value)]
    )


def _apply_traits(db: Database, plan: Plan) -> None:
    speaking = [(r, s.profile_id) for r, s in zip(plan.readings, plan.resolutions, strict=True) if r.traits]
    plan.documents = load_documents(db, {profile for _, profile in speaking})
    for reading, profile in speaking:
        document = plan.documents.setdefault(profile, {})
        changed, refused = apply_traits(
            document,
            reading.traits,
            at=reading.ts,
            source_id=reading.source.id,
            priority=reading.source.priority,
        )
        if changed:
            plan.changed.add(profile)
        if refused:
            reading.warnings.append("traits_left_out")
            plan.outcomes[reading.source.id, "warning:traits_left_out"] += 1


def _place(db: Database, plan: Plan) -> None:
    """Put client-side activity into sessions; what a server sends without a visitor or a session belongs to none."""
    spans: dict[int, tuple[int, int]] = {}
    keys: dict[str, list[bytes]] = {}
    active = [_is_activity(reading) for reading in plan.readings]
    for reading, resolution, counts in zip(plan.readings, plan.resolutions, active, strict=True):
        if not counts:
            continue
        if reading.session_key is not None:
            keys.setdefault(reading.session_key, settings.KEYRING.digests("session", reading.session_key))
        else:
            low, high = spans.get(resolution.profile_id, (reading.ts, reading.ts))
            spans[resolution.profile_id] = min(low, reading.ts), max(high, reading.ts)
    plan.sessions.load(db, spans, {old: versions[0] for versions in keys.values() for old in versions})
    for reading, resolution, counts in zip(plan.readings, plan.resolutions, active, strict=True):
        key = keys[reading.session_key][0] if counts and reading.session_key is not None else None
        plan.placed.append(
            plan.sessions.place(resolution.profile_id, reading.ts, key=key, context=reading.context) if counts else None
        )


def _is_activity(reading: Reading) -> bool:
    return reading.message.type in ("track", "page", "screen") and (
        reading.message.anonymous_id is not None or reading.session_key is not None
    )


def _properties(reading: Reading) -> dict[str, Any]:
    message = reading.message
    if message.type == "identify":
        return dict(reading.traits)
    if message.type == "group":
        return {"groupId": message.group_id, "traits": message.traits or {}}
    if message.type == "alias":
        return {"previousId": message.previous_id}
    return message.properties or {}


def _kept_context(reading: Reading) -> dict[str, Any]:
    """The context without its copy of the traits, which the trait document keeps."""
    if "traits" not in reading.context:
        return reading.context
    return {key: value for key, value in reading.context.items() if key != "traits"}


# A message that was replayed and fails again is open again.
_OPEN_AGAIN = (
    "on conflict (digest) do update set stage = excluded.stage, status = excluded.status, code = excluded.code,"
    " reason = excluded.reason, body = excluded.body, resolved_at = null"
)


def _quarantine_row(failure: Failure) -> tuple[Any, ...]:
    row = failure.waiting
    return row.digest, row.source_id, row.received, "processing", "open", failure.code, failure.reason, row.body


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
