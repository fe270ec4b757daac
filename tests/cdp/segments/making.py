"""Segments and people for these tests."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db.models import F

from cdp.core.bulk import Database
from cdp.core.ids import uuid7
from cdp.profiles.models import Profile
from cdp.segments.definition import define
from cdp.segments.members import members_after
from cdp.segments.models import MembershipChange, Segment
from tests.factories import T0, profile


def a_list(key: str = "vip", **fields: Any) -> Segment:
    """A static segment without members."""
    return define(Segment(), {"name": key, "key": key, "type": "static", **fields})


def a_rule(key: str, *conditions: dict[str, Any], operator: str = "AND", **fields: Any) -> Segment:
    """A segment with a rule, not computed yet."""
    rules = {"operator": operator, "conditions": list(conditions)}
    return define(Segment(), {"name": key, "key": key, "rules": rules, **fields})


def some_people(count: int) -> list[Profile]:
    """`count` people."""
    return [profile() for _ in range(count)]


def many_people(count: int) -> list[int]:
    """The ids of `count` new people, written in bulk."""
    made = Profile.objects.bulk_create(
        Profile(public_id=uuid7(), person_id=0, created_at=T0, updated_at=T0, first_seen=T0, last_seen=T0)
        for _ in range(count)
    )
    ids = [one.pk for one in made]
    Profile.objects.filter(pk__in=ids).update(person_id=F("id"))
    return ids


def members(segment: Segment) -> list[int]:
    """The ids of the people that a reader sees in the segment now."""
    segment.refresh_from_db()
    found = [member.person_id for member in members_after(segment, limit=100_000)]
    assert len(found) == segment.size
    return found


def changes(segment: Segment) -> list[tuple[int, str, str]]:
    """Person, change and cause of all that happened, in its order."""
    rows = MembershipChange.objects.filter(segment=segment).order_by("id")
    return list(rows.values_list("person_id", "change", "cause"))


def ids(people: Sequence[Profile]) -> list[int]:
    """Internal ids."""
    return [person.pk for person in people]


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that go through `cdp.core.bulk` while it is open; Django counts its own."""
    seen: list[str] = []
    names = ("_execute", "_run_many", "_copy")
    real = {name: getattr(Database, name) for name in names}

    def noting(name: str) -> Callable[..., Any]:
        def noted(db: Database, *args: Any) -> Any:
            seen.append(str(args[0]))
            return real[name](db, *args)

        return noted

    for name in names:
        setattr(Database, name, noting(name))
    try:
        yield seen
    finally:
        for name in names:
            setattr(Database, name, real[name])
