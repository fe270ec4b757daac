"""What the catalogue says of every key, and what looks personal although no line says so."""

import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from django.db import connection

from cdp.lake.fields.parse import parse
from cdp.lake.fields.tree import FieldError, Kind, Name, Names, Node, names_in
from cdp.lake.measures import MEASURES

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[a-zA-Z]{2,}")
_LONG_NUMBER = re.compile(r"(?:\+|00)?(?:\d[ ()./-]?){8,18}\d")
_PERSONAL_KEY = re.compile(r"e-?mail|phone|first_?name|last_?name|surname|birth|passport|iban|ssn", re.IGNORECASE)
_DERIVED = frozenset({"birthYear"})
_KEEP_SECONDS = 5.0
_PERSONAL = ("personal", "sensitive")
_ROWS = """
    select 'trait', id, key, data_type, classification, cast(readers as text), '' from traits_traitdefinition
    union all select 'calculated', id, key, kind, '', '[]', expression from traits_calculatedfield
    union all select 'computed', id, key, kind, '', '[]', cast(definition as text) from traits_computedtrait"""


class Computed(msgspec.Struct, frozen=True):
    """A computed trait: the id of its definition, the kind of its values, and the definition as JSON text."""

    id: int
    kind: Kind
    definition: str


class Catalogue(msgspec.Struct, frozen=True):
    """Everything that is catalogued, by key.

    `kinds`: the data types of traits that have one and are not personal. `readers`: the groups that may read a key,
    where not everybody may. `calculated` is in an order in which each follows those that it names.
    """

    personal: frozenset[str]
    sensitive: frozenset[str]
    kinds: Mapping[str, Kind]
    readers: Mapping[str, frozenset[str]]
    calculated: Mapping[str, Node]
    computed: Mapping[str, Computed]
    folded_personal: frozenset[str] = frozenset()
    folded_sensitive: frozenset[str] = frozenset()


_kept: tuple[float, Catalogue] | None = None


def catalogue() -> Catalogue:
    """The catalogue, read again every few seconds: one query."""
    global _kept  # noqa: PLW0603 - a cache of one value
    now = time.monotonic()
    if _kept is None or now - _kept[0] > _KEEP_SECONDS:
        _kept = now, _read()
    return _kept[1]


def forget_catalogue() -> None:
    """Read the catalogue again at the next question: after an edit."""
    global _kept  # noqa: PLW0603
    _kept = None


def personal_keys() -> frozenset[str]:
    """Keys that the catalogue classifies personal or sensitive."""
    return catalogue().personal


def sensitive_keys() -> frozenset[str]:
    """Keys that the catalogue classifies sensitive: they are for the console alone."""
    return catalogue().sensitive


def is_personal(key: str, value: object) -> bool:
    """Whether a trait may be shown only to those with the right: by catalogue, by its name or by how it looks."""
    if key in personal_keys() or (_PERSONAL_KEY.search(key) and key not in _DERIVED):
        return True
    if isinstance(value, str):
        return bool(_EMAIL.search(value) or _LONG_NUMBER.fullmatch(value.strip()))
    if isinstance(value, dict):
        return any(is_personal(str(inner), part) for inner, part in value.items())
    if isinstance(value, list):
        return any(is_personal("", part) for part in value)
    return False


def classification_of(path: str, value: object = None) -> str:
    """What a value is: sensitive, personal, or internal; a personal one by the catalogue, by its name or by its looks.

    `path` is a key, dotted within objects. The catalogue's lines mean a key in any spelling (`postalCode`,
    `postal_code`) and wherever it is found: `medical.bloodType` is that of an event's `traits.medical.bloodType` too.
    """
    by_name = _by_name(catalogue(), path)
    if by_name != "internal":
        return by_name
    if isinstance(value, str) and (_EMAIL.search(value) or _LONG_NUMBER.fullmatch(value.strip())):
        return "personal"
    return "internal"


def _by_name(known: Catalogue, path: str) -> str:
    parts = path.split(".")
    ends = {_folded(path)} | {_folded(".".join(parts[start:])) for start in range(1, len(parts))}
    if ends & known.folded_sensitive:
        return "sensitive"
    if ends & known.folded_personal or (_PERSONAL_KEY.search(parts[-1]) and parts[-1] not in _DERIVED):
        return "personal"
    return "internal"


def _folded(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def names_of(known: Catalogue, kinds_of_calculated: Mapping[str, Kind]) -> Names:
    """What an expression of a calculated field may name. RFM scores rank everybody, so they are not among it."""
    measures: dict[str, Kind] = {name: measure.kind for name, measure in MEASURES.items() if measure.local}
    return Names(
        traits=known.kinds,
        measures=measures,
        computed={key: trait.kind for key, trait in known.computed.items()},
        calculated=kinds_of_calculated,
        personal=lambda key: key in known.personal or bool(_PERSONAL_KEY.search(key) and key not in _DERIVED),
    )


def in_order(fields: Mapping[str, Node]) -> dict[str, Node]:
    """Calculated fields so that each comes after those that it names.

    Raises FieldError naming a circle.
    """
    ordered: dict[str, Node] = {}

    def place(key: str, above: tuple[str, ...]) -> None:
        if key in above:
            circle = " → ".join([*above[above.index(key) :], key])
            raise FieldError(f"Calculated fields may not go in a circle: {circle}.", 0)
        if key in fields and key not in ordered:
            for name in calculated_in(fields[key]):
                place(name.key, (*above, key))
            ordered[key] = fields[key]

    for key in fields:
        place(key, ())
    return ordered


def calculated_in(node: Node) -> list[Name]:
    """The other calculated fields that an expression names."""
    return [name for name in names_in(node) if name.origin == "calculated"]


def _read() -> Catalogue:
    with connection.cursor() as cursor:
        cursor.execute(_ROWS)
        rows = cursor.fetchall()
    traits = [row[2:6] for row in rows if row[0] == "trait"]
    personal = frozenset(key for key, _, classification, _ in traits if classification in _PERSONAL)
    sensitive = frozenset(key for key, _, classification, _ in traits if classification == "sensitive")
    known = Catalogue(
        personal=personal,
        sensitive=sensitive,
        folded_personal=frozenset(map(_folded, personal - sensitive)),
        folded_sensitive=frozenset(map(_folded, sensitive)),
        kinds={key: kind for key, kind, _, _ in traits if kind and key not in personal},
        readers={key: frozenset(groups) for key, _, _, said in traits if (groups := msgspec.json.decode(said))},
        calculated={},
        computed={row[2]: Computed(row[1], row[3], row[6]) for row in rows if row[0] == "computed"},
    )
    return msgspec.structs.replace(known, calculated=_parsed(known, [row for row in rows if row[0] == "calculated"]))


def _parsed(known: Catalogue, rows: list[tuple[Any, ...]]) -> dict[str, Node]:
    """The expressions that can be used: one that names what is gone from the catalogue has no value for anybody."""
    kinds: dict[str, Kind] = {row[2]: row[3] for row in rows}
    names = names_of(known, kinds)
    trees: dict[str, Node] = {}
    for _, _, key, _, _, _, expression in rows:
        try:
            trees[key] = parse(expression, names)
        except FieldError:
            continue
    while (broken := _broken(trees)) is not None:
        del trees[broken]
    return in_order(trees)


def _broken(trees: Mapping[str, Node]) -> str | None:
    """A field that names one which has no tree."""
    return next((key for key, tree in trees.items() if any(n.key not in trees for n in calculated_in(tree))), None)
