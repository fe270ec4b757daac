"""Performing merges that a person or the API asks for, and undoing any merge exactly (IDENTITY.md rules 5, 6, 9)."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from cdp.access.audit import record_change
from cdp.consents.merging import restrict_consents
from cdp.core.bulk import Database, Table
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.core.ids import uuid7
from cdp.identities.population import LOG
from cdp.pipeline.lease import exclusive, fence_of, mark_described
from cdp.profiles.models import KeepApart, Merge, Profile
from cdp.profiles.people import person_of
from cdp.profiles.rows import MERGES, move_people
from cdp.traits.golden import GoldenRecord, MergeEdge, golden

STRATEGIES = {
    "latest": "latest",
    "oldest": "oldest",
    "target": "target",
    "source": "source",
    "merge": "target",
    "replace": "source",
}
_PERSON = Table("profiles_profile", {"person_id": "bigint", "id": "bigint"})
_MAX_SOURCES = 100


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The person that results, its golden record, and the merges that were written (none in a dry run)."""

    person: uuid.UUID
    golden: GoldenRecord
    merges: list[Merge]


def merge_people(
    target: uuid.UUID, sources: Sequence[uuid.UUID], *, strategy: str, actor: str, dry_run: bool = False
) -> MergeResult:
    """Make the people of `sources` and of `target` one person; the id of the first-created profile stays.

    An explicit merge may join two user ids and lifts what an unmerge kept apart. `dry_run` shows the same result and
    writes nothing. Holds the processing fence; recorded in the audit. Raises NotFound, Invalid, Conflict.
    """
    chosen = STRATEGIES.get(strategy)
    if chosen is None:
        raise Invalid(f"{strategy[:40]!r} is no merge strategy. Use one of: {', '.join(STRATEGIES)}.")
    if not 1 <= len(sources) <= _MAX_SOURCES:
        raise Invalid(f"Name from 1 to {_MAX_SOURCES} profiles to merge.")
    with exclusive() as db:
        into = person_of(target)
        people = [person_of(source) for source in dict.fromkeys(sources)]
        if len({into.pk, *(person.pk for person in people)}) != len(people) + 1:
            raise Conflict("Two of these ids are the same person already.", code="already_merged")
        now = now_us()
        if dry_run:
            edges = [MergeEdge(2**62 + n, into.pk, person.pk, chosen, now) for n, person in enumerate(people)]
            record = golden(into.pk, extra=edges, also=[person.pk for person in people])
            return MergeResult(min((into, *people), key=lambda p: p.pk).public_id, record, [])
        ids = _write(db, into, people, strategy=chosen, actor=actor, now=now)
        named = [person.public_id for person in (into, *people)]
        record_change(
            actor, action="merge", object_type="profile", object_ids=named, fields=["person"], why=f"strategy {chosen}"
        )
        first = min((into, *people), key=lambda p: p.pk)
        merges = list(Merge.objects.filter(public_id__in=ids).order_by("id"))
        return MergeResult(first.public_id, golden(first.pk), merges)


def unmerge(merge: uuid.UUID, *, actor: str) -> list[uuid.UUID]:
    """Undo one merge: everything is again as if it had not been, also what arrived after it, and stays apart.

    Returns the public ids of the people that result. Holds the processing fence. Raises NotFound, Conflict.
    """
    with exclusive() as db:
        row = Merge.objects.select_related("target", "source").filter(public_id=merge).first()
        if row is None:
            raise NotFound("There is no merge with this id.")
        if not row.active:
            raise Conflict("This merge is undone already.", code="already_undone")
        now = now_us()
        Merge.objects.filter(pk=row.pk).update(active=False, undone_at=now, fence=fence_of(db))
        KeepApart.objects.create(first_id=row.target_id, second_id=row.source_id, merge=row, created_at=now)
        people = _components(row.target.person_id)
        db.update(_PERSON, [(person, profile) for person, members in people.items() for profile in members])
        mark_described(db, [profile for members in people.values() for profile in members], now=now)
        _log(db, "unmerge", "rule 9", row.target_id, row.source_id, actor=actor, now=now)
        named = [row.target.public_id, row.source.public_id]
        record_change(actor, action="unmerge", object_type="profile", object_ids=named, fields=["person"])
        found = dict(Profile.objects.filter(pk__in=people).values_list("pk", "public_id"))
        return [found[person] for person in sorted(people)]


def _write(
    db: Database, into: Profile, people: Sequence[Profile], *, strategy: str, actor: str, now: int
) -> list[uuid.UUID]:
    _lift(db, [into, *people], now=now)
    first = min((into, *people), key=lambda p: p.pk).pk
    ids = [uuid7(now) for _ in people]
    fence = fence_of(db)
    db.insert(
        MERGES,
        [
            (public_id, into.pk, person.pk, "api", strategy, True, now, fence, None, None, None, actor)
            for public_id, person in zip(ids, people, strict=True)
        ],
    )
    restrict_consents(db, [(public_id, into.pk, p.pk) for public_id, p in zip(ids, people, strict=True)], now=now)
    move_people(db, {person.pk: first for person in (into, *people) if person.pk != first}, fence=fence)
    for person in people:
        _log(db, "merge", f"api {strategy}", into.pk, person.pk, actor=actor, now=now)
    return ids


def _lift(db: Database, people: Sequence[Profile], *, now: int) -> None:
    """Lift every pair that keeps two of `people` apart: an authorised merge says otherwise."""
    of = dict(Profile.objects.filter(person_id__in=[p.pk for p in people]).values_list("pk", "person_id"))
    pairs = KeepApart.objects.filter(lifted_at=None, first_id__in=of, second_id__in=of)
    lifted = [pair.pk for pair in pairs if of[pair.first_id] != of[pair.second_id]]
    db.execute_in("update profiles_keepapart set lifted_at = ? where id {in}", lifted, "bigint", (now,))


def _components(person_id: int) -> dict[int, list[int]]:
    """The connected components of a person's profiles under its active merges, by their first profile."""
    profiles = list(Profile.objects.filter(person_id=person_id).order_by("pk").values_list("pk", flat=True))
    root = {profile: profile for profile in profiles}

    def find(profile: int) -> int:
        while root[profile] != profile:
            profile = root[profile]
        return profile

    edges = Merge.objects.filter(active=True, source_id__in=profiles).values_list("target_id", "source_id")
    for target, source in edges:
        low, high = sorted((find(target), find(source)))
        root[high] = low
    components: dict[int, list[int]] = {}
    for profile in profiles:
        components.setdefault(find(profile), []).append(profile)
    return components


def _log(db: Database, kind: str, rule: str, profile_id: int, other_id: int, *, actor: str, now: int) -> None:
    db.insert(LOG, [(now, kind, rule, profile_id, other_id, None, None, None, actor)])
