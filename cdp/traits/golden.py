"""The golden record: a pure fold over the trait documents of a person's profiles (IDENTITY.md rule 6).

Verified before unverified, then source priority, then newest. An expired value and a null never win. Numbers are never
added up. A merge made with a strategy decides the conflicts among values older than itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from cdp.access.reading import rows_in
from cdp.core.clock import now_us
from cdp.profiles.models import Profile
from cdp.traits.document import Document, TraitValue, open_document
from cdp.traits.models import TraitDocument

_EDGES = "select id, target_id, source_id, strategy, created_at from profiles_merge where active and source_id in {in}"


class GoldenValue(msgspec.Struct, frozen=True):
    """The value that won, with the profile that owns it and the rule that chose it."""

    value: Any
    at: int
    source_id: int
    profile_id: int
    rule: str
    priority: int = 100
    verified: bool = False
    type: str = ""
    label: str = ""
    computed_at: int | None = None
    expires_at: int | None = None
    metadata: dict[str, Any] | None = None


class GoldenRecord(msgspec.Struct, frozen=True):
    """The values of a person by key."""

    values: dict[str, GoldenValue]


class MergeEdge(msgspec.Struct, frozen=True):
    """What the fold needs of a merge; `at` is its time in microseconds."""

    id: int
    target_id: int
    source_id: int
    strategy: str
    at: int


def beats(new: TraitValue | GoldenValue, old: TraitValue | GoldenValue) -> bool:
    """Whether `new` replaces `old` by the normal rule; of two equal ones the new one does."""
    return (new.verified, -new.priority, new.at) >= (old.verified, -old.priority, old.at)


def fold(documents: Mapping[int, Document], merges: Iterable[MergeEdge], *, now: int) -> GoldenRecord:
    """The golden record of one person: `documents` by profile id and its active merges, at the moment `now`."""
    parts: dict[int, dict[str, GoldenValue]] = {
        profile_id: {
            key: _golden(value, profile_id)
            for key, value in document.items()
            if value.value is not None and value.live(now)
        }
        for profile_id, document in documents.items()
    }
    root = {profile_id: profile_id for profile_id in parts}

    def find(profile_id: int) -> int:
        while root.setdefault(profile_id, profile_id) != profile_id:
            profile_id = root[profile_id]
        return profile_id

    for merge in sorted(merges, key=lambda edge: edge.id):
        target, source = find(merge.target_id), find(merge.source_id)
        if target != source:
            root[source] = target
            parts[target] = _combine(parts.get(target, {}), parts.pop(source, {}), merge)
    total: dict[str, GoldenValue] = {}
    for _, part in sorted(parts.items()):
        total = _combine(total, part, None)
    return GoldenRecord(values=total)


def golden(person_id: int, *, extra: Iterable[MergeEdge] = (), also: Iterable[int] = ()) -> GoldenRecord:
    """The golden record of a person now; with `extra` merges and `also` other people, what they would give together."""
    people = [person_id, *also]
    fragments = list(Profile.objects.filter(person_id__in=people).values_list("id", flat=True))
    documents = {
        profile_id: open_document(body)
        for profile_id, body in TraitDocument.objects.filter(profile_id__in=fragments).values_list("profile_id", "body")
    }
    for profile_id in fragments:
        documents.setdefault(profile_id, {})
    edges = [*edges_of(fragments), *extra] if len(fragments) > 1 else []
    return fold(documents, edges, now=now_us())


def edges_of(fragments: Iterable[int]) -> list[MergeEdge]:
    """The active merges among `fragments`."""
    return [MergeEdge(*row) for row in rows_in(_EDGES, fragments)]


def _golden(value: TraitValue, profile_id: int) -> GoldenValue:
    return GoldenValue(
        value=value.value,
        at=value.at,
        source_id=value.source_id,
        profile_id=profile_id,
        rule="only value",
        priority=value.priority,
        verified=value.verified,
        type=value.type,
        label=value.label,
        computed_at=value.computed_at,
        expires_at=value.expires_at,
        metadata=value.metadata,
    )


def _combine(
    target: dict[str, GoldenValue], source: dict[str, GoldenValue], merge: MergeEdge | None
) -> dict[str, GoldenValue]:
    result = dict(target)
    for key, theirs in source.items():
        ours = target.get(key)
        result[key] = theirs if ours is None else _winner(ours, theirs, merge)
    return result


_STRATEGIES: dict[str, Callable[[GoldenValue, GoldenValue], GoldenValue]] = {
    "latest": lambda ours, theirs: theirs if theirs.at > ours.at else ours,
    "oldest": lambda ours, theirs: theirs if theirs.at < ours.at else ours,
    "target": lambda ours, _theirs: ours,
    "source": lambda _ours, theirs: theirs,
}


def _winner(ours: GoldenValue, theirs: GoldenValue, merge: MergeEdge | None) -> GoldenValue:
    choose = _STRATEGIES.get(merge.strategy) if merge else None
    if choose and merge and max(ours.at, theirs.at) <= merge.at:
        return msgspec.structs.replace(choose(ours, theirs), rule=f"strategy {merge.strategy}")
    first, second = sorted(
        (ours, theirs), key=lambda value: (value.verified, -value.priority, value.at, -value.profile_id)
    )
    if first.verified != second.verified:
        rule = "verified before unverified"
    elif first.priority != second.priority:
        rule = "source priority"
    else:
        rule = "newest"
    return msgspec.structs.replace(second, rule=rule)
