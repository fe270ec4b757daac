"""Versions of people as rows of the lake."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cdp.core.clock import from_us, parse_time
from cdp.lake.schema import Typed, people_schema
from cdp.lake.values import Documents, MapColumn

if TYPE_CHECKING:
    import pyarrow as pa

_BIRTHS = ("birthday", "birthDate", "dateOfBirth", "birth_date", "date_of_birth")


def facts_of(
    traits: Mapping[str, Any], typed: Mapping[str, Typed], personal: Callable[[str], bool]
) -> dict[str, dict[str, Any]]:
    """What the lake would know of a person with these golden values: kind → key → value."""
    documents = Documents(typed, personal)
    documents.add(traits, _derived(traits))
    return documents.row()


class PersonRows:
    """Collects versions of people and gives them as one Arrow table of `people_schema`."""

    def __init__(self, typed: Mapping[str, Typed], personal: Callable[[str], bool]) -> None:
        self._typed = typed
        self._documents = Documents(typed, personal, also_mapped=True)
        self._plain: list[tuple[Any, ...]] = []
        self._expires = MapColumn()
        self._consents = MapColumn()

    def __len__(self) -> int:
        return len(self._plain)

    def add(
        self,
        person: int,
        version: int,
        at: int,
        *,
        fragments: Sequence[int],
        created: int,
        traits: Mapping[str, Any],
        expires: Iterable[tuple[str, int]] = (),
        consents: Mapping[str, int] | None = None,
        next_expiry: int | None = None,
    ) -> None:
        """A person as known at `at` under the fence `version`: golden values, when some of them expire, consents.

        `next_expiry`: when the next of their values runs out. Of a date of birth the year is kept, as `birthYear`.
        """
        self._documents.add(traits, _derived(traits))
        ending = {key: until for key, until in expires if self._documents.takes(key)}
        self._expires.add(ending)
        self._consents.add(consents or {})
        self._plain.append((person, version, at, False, list(fragments), created, next_expiry))

    def add_gone(self, person: int, version: int, at: int) -> None:
        """The id `person` is no person any more: merged into another, or deleted."""
        self._documents.add({})
        self._expires.add({})
        self._consents.add({})
        self._plain.append((person, version, at, True, [], None, None))

    def table(self) -> "pa.Table":
        """Everything that was added, in that order."""
        import pyarrow as pa

        schema = people_schema(self._typed.values())
        names = ("person", "version", "at", "gone", "fragments", "created", "next_expiry")
        plain = list(zip(*self._plain, strict=True)) or [()] * len(names)
        arrays: dict[str, pa.Array] = {
            name: pa.array(values, schema.field(name).type) for name, values in zip(names, plain, strict=True)
        }
        arrays |= self._documents.arrays()
        arrays |= {"expires": self._expires.array("time"), "consents": self._consents.array("time")}
        return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _derived(traits: Mapping[str, Any]) -> dict[str, Any] | None:
    year = None if "birthYear" in traits else _birth_year(traits)
    return None if year is None else {"birthYear": year}


def _birth_year(traits: Mapping[str, Any]) -> int | None:
    for key in _BIRTHS:
        value = traits.get(key)
        moment = parse_time(value) if isinstance(value, str) else None
        if moment is not None:
            return from_us(moment).year
    return None
