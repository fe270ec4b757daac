"""Resolving the messages of a micro-batch to people, one after the other, each judged by the gate before it counts."""

import uuid

from cdp.consents.gate import Gate
from cdp.core.bulk import Database
from cdp.identities.decisions import Decision
from cdp.identities.population import load_population
from cdp.identities.resolve import Candidate, Population, Resolution, Resolver
from cdp.pipeline.batch import Batch, Failure
from cdp.pipeline.gating import Gatekeeper
from cdp.pipeline.reading import Reader, Reading
from cdp.profiles.models import Profile
from cdp.profiles.rows import ProfileRow, load_profiles


def resolve_messages(db: Database, batch: Batch, reader: Reader, base: Gate) -> None:
    """Leave in `batch.readings` what is stored of somebody, each with its resolution, and move the redacted aside.

    A message that the gate stops finds nobody and makes nobody, unless it says itself what stops it.
    """
    addressed = _addressed(batch)
    population = load_population(
        db,
        reader.rules,
        [reading.candidates for reading in batch.readings],
        versions=reader.versions,
        addressed=dict(addressed.values()),
        now=batch.now,
    )
    batch.population = population
    keeper = Gatekeeper(base, batch.standings, population)
    keeper.load(db, batch.readings, {person for _, person in addressed.values()})
    resolver = Resolver(
        population, reader.rules.kinds.values(), db.new_ids("profiles_profile", _may_be_new(batch, population))
    )
    readings, batch.readings = batch.readings, []
    touched: dict[int, int] = {}
    begin = batch.now - len(readings)  # one microsecond for each message, so that their merges have an order
    for number, reading in enumerate(readings):
        resolution = _resolve(batch, reading, resolver, keeper, at=begin + number)
        if resolution is not None:
            touched.setdefault(resolution.profile_id, reading.ts)
    born = set(population.created)
    batch.profiles = load_profiles(db, ({r.profile_id for r in batch.resolutions} | batch.standings.stated) - born)
    for profile_id in born:
        batch.profiles[profile_id] = ProfileRow(profile_id, touched[profile_id], touched[profile_id])
    for reading, resolution in zip(batch.readings, batch.resolutions, strict=True):
        row = batch.profiles[resolution.profile_id]
        row.see(reading.ts)
        if reading.purchase is not None:
            row.buy(reading.ts, *reading.purchase)


def _resolve(batch: Batch, reading: Reading, resolver: Resolver, keeper: Gatekeeper, *, at: int) -> Resolution | None:
    """Judge and resolve one message; None when it has no consequence for anybody."""
    population = resolver.population
    alias = reading.message.type == "alias"
    if alias:
        reading.candidates = _alias_candidates(reading.candidates, population)
    trusted, source = reading.source.trusted, reading.source.id
    weighed = resolver.weigh(reading.candidates, ts=reading.ts, trusted=trusted, addressed=reading.profile_id)
    judgement = keeper.judge(reading, weighed)
    reading.warnings.extend(judgement.warnings)
    resolution = None
    if judgement.resolved:
        merged = len(population.merges)
        cause = "alias" if alias else "inference"
        resolution = resolver.carry_out(weighed, ts=reading.ts, event=reading.digest, trusted=trusted, cause=cause)
        caused = len(population.merges) - merged
        keeper.carry_out(reading, weighed, judgement, resolution.profile_id, merges=caused, at=at)
        if resolution.decision in (Decision.CAPPED, Decision.REFUSED):
            batch.note(source, f"warning:{resolution.decision.name.lower()}")
    rule = judgement.rule
    if rule is not None and rule.redact:
        batch.redacted.append((reading, rule.purpose))
        batch.note(source, f"redacted:{rule.purpose}")
    elif rule is not None:
        batch.note(source, f"consent:{rule.purpose}")
    elif resolution is not None:
        batch.readings.append(reading)
        batch.resolutions.append(resolution)
        batch.note(source, "processed")
    for warning in reading.warnings:
        batch.note(source, f"warning:{warning}")
    return resolution


def _may_be_new(batch: Batch, population: Population) -> int:
    """How many profiles the batch can create at most: a message that creates one names an identifier nobody owns."""
    return sum(
        not reading.candidates or any(c.digest not in population.owner for c in reading.candidates)
        for reading in batch.readings
    )


def _addressed(batch: Batch) -> dict[str, tuple[int, int]]:
    """The profiles that trusted messages name directly: public id → (id, person); the others become failures."""
    named = {r.message.profile_id for r in batch.readings if r.message.profile_id is not None and r.source.trusted}
    if not named:
        return {}
    rows = Profile.objects.filter(public_id__in=[name for name in named if _is_uuid(name)])
    found = {str(public): (id_, person) for public, id_, person in rows.values_list("public_id", "id", "person_id")}
    kept = []
    waiting = {row.digest: row for row in batch.messages}
    for reading in batch.readings:
        name = reading.message.profile_id
        if name is None or not reading.source.trusted:
            kept.append(reading)
        elif name in found:
            reading.profile_id = found[name][0]
            kept.append(reading)
        else:
            reason = "It names a profile that does not exist."
            batch.failures.append(Failure(waiting[reading.digest], "unknown_profile", reason))
    batch.readings = kept
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


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
