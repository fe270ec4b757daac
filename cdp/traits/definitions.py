"""The lines of the trait catalogue: what a key means, what its values are, who owns it, who may read it."""

from collections.abc import Sequence

import msgspec
from django.contrib.auth.models import Group

from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.lake.measures import MEASURES
from cdp.traits.apply import MAX_KEY_LENGTH
from cdp.traits.catalogue import forget_catalogue
from cdp.traits.models import CalculatedField, ComputedTrait, TraitDefinition


class Line(msgspec.Struct, frozen=True):
    """What a line of the catalogue is to say."""

    key: str
    type: str = TraitDefinition.Type.DEMOGRAPHIC
    data_type: str = ""
    classification: str = TraitDefinition.Classification.INTERNAL
    readers: tuple[str, ...] = ()
    description: str = ""
    owner: str = ""


def describe(line: Line, *, definition: TraitDefinition | None = None) -> TraitDefinition:
    """Put a trait into the catalogue, or change its line. Raises Invalid, Conflict when the key is taken."""
    if not 0 < len(line.key) <= min(MAX_KEY_LENGTH, 100) or "\0" in line.key:
        raise Invalid("A key has from 1 to 100 characters.", code="bad_trait_key", details={"path": "key"})
    _one_of(line.type, TraitDefinition.Type.values, "type")
    _one_of(line.data_type, ["", *TraitDefinition.DataType.values], "dataType")
    _one_of(line.classification, TraitDefinition.Classification.values, "classification")
    _known_groups(line.readers)
    row = definition or TraitDefinition()
    if row.key != line.key:
        _free(line.key, besides=row)
    for name in ("key", "type", "data_type", "classification"):
        setattr(row, name, getattr(line, name))
    row.readers = sorted(set(line.readers))
    row.description, row.owner = line.description[:300], line.owner[:100]
    row.save()
    forget_catalogue()
    return row


def definition_of(key: str) -> TraitDefinition:
    """The line of that key. Raises NotFound."""
    found = TraitDefinition.objects.filter(key=key).first()
    if found is None:
        raise NotFound("The catalogue has no such key.")
    return found


def forget(definition: TraitDefinition) -> None:
    """Take a line out of the catalogue. Values stay; from then on they are judged by how they look."""
    definition.delete()
    forget_catalogue()


def _one_of(value: str, known: Sequence[str], path: str) -> None:
    if value not in known:
        names = ", ".join(name for name in known if name)
        raise Invalid(f"`{path}` must be one of {names}.", details={"path": path})


def _known_groups(readers: Sequence[str]) -> None:
    known = set(Group.objects.values_list("name", flat=True))
    unknown = next((name for name in readers if name not in known), None)
    if unknown is not None:
        names = ", ".join(sorted(known))
        raise Invalid(f"There is no group {unknown[:40]!r}. There are: {names}.", details={"path": "readers"})


def _free(key: str, *, besides: TraitDefinition) -> None:
    if key in MEASURES:
        raise Conflict("A built-in measure has this key.", code="key_taken", details={"path": "key"})
    taken = TraitDefinition.objects.filter(key=key).exclude(pk=besides.pk or 0).exists()
    for model in (CalculatedField, ComputedTrait):
        taken = taken or model.objects.filter(key__iexact=key).exists()
    if taken:
        raise Conflict("The catalogue has this key already.", code="key_taken", details={"path": "key"})
