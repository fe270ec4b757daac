"""Identity resolution (IDENTITY.md rules 3, 4, 5, 8, 12, 13): pure, in memory, one message after the other.

A `Population` holds what the store knows of the identifiers of a micro-batch and what the batch has decided so far;
`resolve` decides one message. Nothing here touches a store, so four workers that take turns give what one gives.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cdp.core.clock import HOUR
from cdp.core.ids import uuid7
from cdp.identities.decisions import Decision, Use
from cdp.identities.rules import IDENTIFIER_CAP, JOIN_CAP, MERGE_CAP, Kind


@dataclass(slots=True)
class Candidate:
    """One identifier of a message. `use` is filled in by `resolve`; `links` is false for what may find nobody.

    `trusted`: this one is to be believed, whatever its source.
    """

    kind: Kind
    namespace: str
    digest: bytes
    value: str
    raw: str
    links: bool
    use: Use = Use.FOUND
    verified: bool = False
    trusted: bool = False


@dataclass(slots=True)
class Owned:
    """A stored identifier row; `digest` is the one of the newest key, whatever the row has."""

    kind_id: int
    namespace: str
    digest: bytes
    profile_id: int
    first_seen: int
    linking: bool
    trusted: bool
    stale: bool = False
    """Stored under an older key: `rotate_keys` will rewrite it, so nothing else does."""


@dataclass(slots=True)
class Person:
    """What decides about a person: identifier times by type and namespace, merges of late, whether anything vouches."""

    times: dict[tuple[int, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    identifiers: int = 0
    merges: int = 0
    known: bool = False


@dataclass(frozen=True, slots=True)
class Addition:
    """A new identifier row."""

    candidate: Candidate
    profile_id: int
    first_seen: int
    linking: bool
    trusted: bool


@dataclass(frozen=True, slots=True)
class NewMerge:
    """A merge that a message caused: the two fragments that the identifiers on either side belong to."""

    target_id: int
    source_id: int
    cause: str
    event: bytes
    via_target: bytes | None
    via_source: bytes | None
    public_id: uuid.UUID = field(default_factory=uuid7)


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of the identity log."""

    kind: str
    rule: str
    profile_id: int | None
    other_id: int | None
    type_id: int | None
    digest: bytes | None
    event: bytes


@dataclass(frozen=True, slots=True)
class Weighed:
    """Whose a message would be: the stored people that it names, and which of its identifiers were left out."""

    candidates: Sequence[Candidate]
    linking: list[Candidate]
    dropped: list[Candidate]
    people: list[int]
    addressed: int | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The profile that the message's event belongs to, and how that was decided."""

    profile_id: int
    decision: Decision
    created: bool


class Population:
    """The people that a micro-batch touches: as stored, plus what the batch has decided."""

    def __init__(self, *, user_kind: int) -> None:
        self.owner: dict[bytes, int] = {}
        self.rows: dict[tuple[bytes, int], Owned] = {}
        self.person: dict[int, int] = {}
        self.people: dict[int, Person] = defaultdict(Person)
        self.apart: dict[int, set[int]] = defaultdict(set)
        self.joined: Counter[bytes] = Counter()
        self.quarantined: set[bytes] = set()
        self.additions: list[Addition] = []
        self.merges: list[NewMerge] = []
        self.log: list[LogRow] = []
        self.created: list[int] = []
        self.held: list[tuple[bytes, int]] = []
        self._parent: dict[int, int] = {}
        self._user_kind = user_kind

    def find(self, profile_id: int) -> int:
        """The person of a profile as things stand in the batch."""
        person = self.person.get(profile_id, profile_id)
        while person in self._parent:
            person = self._parent[person]
        return person

    def moved(self) -> dict[int, int]:
        """Every person that became part of another one: old id → final id."""
        return {person: self.find(person) for person in self._parent}

    def add_owner(self, row: Owned, person_id: int) -> None:
        """Take in a stored linking identifier of the batch and whose it is."""
        self.rows[row.digest, row.profile_id] = row
        self.owner[row.digest] = row.profile_id
        self.person[row.profile_id] = person_id

    def add_row(self, row: Owned, person_id: int) -> None:
        """Take in one of all the identifiers of a person about whom something may have to be decided."""
        self.rows.setdefault((row.digest, row.profile_id), row)
        self.person[row.profile_id] = person_id
        person = self.people[person_id]
        person.identifiers += 1
        if row.linking:
            self.owner.setdefault(row.digest, row.profile_id)
            person.times[row.kind_id, row.namespace].append(row.first_seen)
        if row.trusted or (row.linking and row.kind_id == self._user_kind):
            person.known = True

    def add_profile(self, profile_id: int) -> None:
        """Take in a profile that the batch creates: a person of its own."""
        self.person[profile_id] = profile_id
        self.created.append(profile_id)

    def join(self, target: int, source: int) -> None:
        """Make the person `source` a part of the person `target`."""
        ours, theirs = self.people[target], self.people.pop(source, Person())
        for slot, times in theirs.times.items():
            ours.times[slot].extend(times)
        ours.identifiers += theirs.identifiers
        ours.merges += theirs.merges + 1
        ours.known = ours.known or theirs.known
        self._parent[source] = target

    def kept_apart(self, people: Sequence[int]) -> bool:
        """Whether an unmerge keeps any two of `people` apart."""
        if not self.apart or len(people) < 2:
            return False
        wanted = set(people)
        return any(
            self.find(other) in wanted and self.find(other) != self.find(profile)
            for profile, others in self.apart.items()
            if self.find(profile) in wanted
            for other in others
        )

    def attach(self, candidate: Candidate, profile_id: int, *, ts: int, linking: bool, trusted: bool) -> None:
        """Give `candidate` to the profile."""
        key = (candidate.digest, profile_id)
        stored = self.rows.get(key)
        if stored is not None and (stored.stale or (stored.linking >= linking and stored.trusted >= trusted)):
            return
        linking, trusted = linking or bool(stored and stored.linking), trusted or bool(stored and stored.trusted)
        first_seen = min(ts, stored.first_seen) if stored else ts
        self.additions.append(Addition(candidate, profile_id, first_seen, linking, trusted))
        person = self.people[self.find(profile_id)]
        if stored is None:
            person.identifiers += 1
        if linking and not (stored and stored.linking):
            self.owner[candidate.digest] = profile_id
            person.times[candidate.kind.id, candidate.namespace].append(ts)
        if trusted or (linking and candidate.kind.id == self._user_kind):
            person.known = True
        self.rows[key] = Owned(
            candidate.kind.id, candidate.namespace, candidate.digest, profile_id, first_seen, linking, trusted
        )


def over_limit(times: Iterable[int], kind: Kind) -> bool:
    """Whether more than `kind.limit` values fall into any window of event time of the kind's length."""
    ordered = sorted(times)
    if len(ordered) <= kind.limit:
        return False
    if kind.window is None:
        return True
    return any(late - early < kind.window for early, late in zip(ordered, ordered[kind.limit :], strict=False))


class Resolver:
    """Decides messages against one population. `new_ids` gives the id of each profile that is created."""

    def __init__(self, population: Population, kinds: Iterable[Kind], new_ids: Iterable[int]) -> None:
        self.population = population
        self._kinds = {kind.id: kind for kind in kinds}
        self._new_ids = iter(new_ids)

    def resolve(
        self,
        candidates: list[Candidate],
        *,
        ts: int,
        event: bytes,
        trusted: bool,
        cause: str = "inference",
        addressed: int | None = None,
    ) -> Resolution:
        """`weigh` and `carry_out` in one."""
        weighed = self.weigh(candidates, ts=ts, trusted=trusted, addressed=addressed)
        return self.carry_out(weighed, ts=ts, event=event, trusted=trusted, cause=cause)

    def weigh(self, candidates: list[Candidate], *, ts: int, trusted: bool, addressed: int | None = None) -> Weighed:
        """Whose a message with the event time `ts` is, without any consequence; `addressed` is named directly.

        Each candidate that is left out gets its `use`.
        """
        population = self.population
        linking = [candidate for candidate in candidates if candidate.links]
        linking.sort(key=lambda candidate: (candidate.kind.rank, candidate.namespace, candidate.digest))
        dropped: list[Candidate] = []
        held = [candidate for candidate in linking if candidate.digest in population.quarantined]
        for candidate in held[1:] if len(held) == len(linking) else held:  # alone it joins nobody: it may find its own
            candidate.use = Use.QUARANTINED
            linking.remove(candidate)
        while True:
            people = self._owners(linking, addressed)
            reason = self._objection(linking, people, addressed, ts=ts, trusted=trusted)
            if reason is None:
                break
            candidate = linking.pop()
            candidate.use = reason
            dropped.append(candidate)
        return Weighed(candidates, linking, dropped, people, addressed)

    def _owners(self, linking: Sequence[Candidate], addressed: int | None) -> list[int]:
        population = self.population
        people = {population.find(addressed)} if addressed is not None else set()
        for candidate in linking:
            profile = population.owner.get(candidate.digest)
            if profile is not None:
                people.add(population.find(profile))
        return sorted(people)

    def _objection(
        self, linking: Sequence[Candidate], people: Sequence[int], addressed: int | None, *, ts: int, trusted: bool
    ) -> Use | None:
        """Why the union of `people` with the new values may not be, or None. One identifier alone always may."""
        population = self.population
        if len(linking) + (addressed is not None) <= 1:
            return None
        new = [candidate for candidate in linking if candidate.digest not in population.owner]
        if len(people) <= 1 and not new:
            return None
        if len(people) > 1:
            if population.kept_apart(people):
                return Use.KEPT_APART
            if not trusted and sum(population.people[person].known for person in people) > 1:
                return Use.UNTRUSTED
            if sum(population.people[person].merges + 1 for person in people) - 1 > MERGE_CAP:
                return Use.CAPPED
        if people and sum(population.people[person].identifiers for person in people) + len(new) > IDENTIFIER_CAP:
            return Use.CAPPED
        return Use.OVER_LIMIT if self._breaks_limit(people, new, ts) else None

    def _breaks_limit(self, people: Sequence[int], new: Sequence[Candidate], ts: int) -> bool:
        slots: dict[tuple[int, str], list[int]] = defaultdict(list)
        contributors: Counter[tuple[int, str]] = Counter()
        for person in people:
            for slot, times in self.population.people[person].times.items():
                slots[slot].extend(times)
                contributors[slot] += 1
        for candidate in new:
            slots[candidate.kind.id, candidate.namespace].append(ts)
            contributors[candidate.kind.id, candidate.namespace] += 1
        fresh = {(candidate.kind.id, candidate.namespace) for candidate in new}
        return any(
            (contributors[slot] > 1 or slot in fresh) and over_limit(times, self._kinds[slot[0]])
            for slot, times in slots.items()
            if slot[0] in self._kinds
        )

    def carry_out(
        self, weighed: Weighed, *, ts: int, event: bytes, trusted: bool, cause: str = "inference"
    ) -> Resolution:
        """Attach, create or merge as `weigh` found, before anything else is weighed. The population takes it in."""
        population = self.population
        linking, dropped, people, addressed = weighed.linking, weighed.dropped, weighed.people, weighed.addressed
        owned = [candidate for candidate in linking if candidate.digest in population.owner]
        created = not people
        if addressed is not None:
            home = addressed
        elif owned:
            home = population.owner[owned[0].digest]
        else:
            home = next(self._new_ids)
            population.add_profile(home)
            population.log.append(LogRow("create", "rule 4", home, None, None, None, event))
        for candidate in dropped:
            kind = "refuse" if cause == "alias" else "cap" if candidate.use is Use.CAPPED else "demote"
            rule = candidate.use.name.lower()
            population.log.append(LogRow(kind, rule, home, None, candidate.kind.id, candidate.digest, event))
        merged = len(people) > 1 and self._merge(people, owned, addressed, event=event, cause=cause)
        for candidate in linking:
            is_new = candidate.digest not in population.owner
            if is_new:
                candidate.use = Use.ADDED
            population.attach(
                candidate,
                home if is_new else population.owner[candidate.digest],
                ts=ts,
                linking=True,
                trusted=trusted or candidate.trusted,
            )
        for candidate in weighed.candidates:
            if candidate.use in (Use.UNTRUSTED, Use.LOOKUP_ONLY, Use.UNVERIFIED) and not candidate.links:
                population.attach(candidate, home, ts=ts, linking=False, trusted=trusted)
        return Resolution(home, self._decision(linking, dropped, created=created, merged=merged, cause=cause), created)

    def _merge(
        self, people: Sequence[int], owned: Sequence[Candidate], addressed: int | None, *, event: bytes, cause: str
    ) -> bool:
        """Join all of `people` into the first-created one."""
        population = self.population
        via: dict[int, tuple[int, bytes | None]] = {}
        if addressed is not None:
            via[population.find(addressed)] = (addressed, None)
        for candidate in owned:
            profile = population.owner[candidate.digest]
            via.setdefault(population.find(profile), (profile, candidate.digest))
        survivor = people[0]
        for person in people[1:]:
            target, via_target = via[survivor]
            source, via_source = via[person]
            population.merges.append(NewMerge(target, source, cause, event, via_target, via_source))
            population.log.append(LogRow("merge", cause, target, source, None, via_source, event))
            population.join(survivor, person)
            for value in (via_target, via_source):
                if value is not None:
                    population.joined[value] += 1
                    self._hold(value, owned, target, event)
        return True

    def _hold(self, value: bytes, owned: Sequence[Candidate], profile_id: int, event: bytes) -> None:
        """Quarantine a value that has just joined as many people as it may in an hour."""
        population = self.population
        if population.joined[value] < JOIN_CAP or value in population.quarantined:
            return
        kind_id = next(candidate.kind.id for candidate in owned if candidate.digest == value)
        population.quarantined.add(value)
        population.held.append((value, kind_id))
        population.log.append(LogRow("block", "join_cap", profile_id, None, kind_id, value, event))

    @staticmethod
    def _decision(
        linking: Sequence[Candidate], dropped: Sequence[Candidate], *, created: bool, merged: bool, cause: str
    ) -> Decision:
        if any(candidate.use is Use.CAPPED for candidate in dropped):
            return Decision.CAPPED
        if dropped and cause == "alias":
            return Decision.REFUSED
        if dropped:
            return Decision.DEMOTED_CREATED if created else Decision.DEMOTED
        if merged:
            return Decision.MERGED
        if created:
            return Decision.CREATED if linking else Decision.WITHOUT_IDENTIFIER
        return Decision.ATTACHED


JOIN_WINDOW = HOUR
"""The window of JOIN_CAP, in processing time."""
