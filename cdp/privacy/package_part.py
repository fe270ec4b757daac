"""What a part of a package is: one kind of thing that is held about a person, read as a stream of records."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from cdp.customer360.parts import Parts, parts_of
from cdp.profiles.models import Profile


@dataclass(frozen=True)
class Subject:
    """Whom a package is about: the first profile of the person, and all of them, oldest first. `now` is µs."""

    person: Profile
    profiles: tuple[Profile, ...]
    now: int

    @classmethod
    def of(cls, person: Profile, *, now: int) -> "Subject":
        """The whole person: one query."""
        return cls(person, tuple(Profile.objects.filter(person_id=person.pk).order_by("id")), now)

    @cached_property
    def numbers(self) -> list[int]:
        """The internal ids of the profiles."""
        return [profile.pk for profile in self.profiles]

    @cached_property
    def ids(self) -> dict[int, str]:
        """Internal id → the id that the profile is known by outside."""
        return {profile.pk: str(profile.public_id) for profile in self.profiles}

    @cached_property
    def parts(self) -> Parts:
        """Golden record, counters and scores, read once."""
        return parts_of(self.person, now=self.now)


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """The base of what a package says of one thing. Times are ISO 8601 in UTC, null where there is none."""


class Missing(Exception):
    """The rest of a part cannot be read; says why to the person, in a sentence of ours."""


@dataclass(frozen=True)
class Part:
    """`name` is the key in data.json and the name of the CSV file; `columns` are the fields that the page shows.

    `given` says that the person gave it or did it, so that it is portable; the rest was made of that here. `tables` are
    the models (app_label.Model) that the records come from. `rows` may raise Missing: then the package says so.
    """

    name: str
    title: str
    about: str
    tables: tuple[str, ...]
    record: type[Record]
    rows: Callable[[Subject], Iterator[Record]]
    columns: Sequence[str]
    given: bool = False
