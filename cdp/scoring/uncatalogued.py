"""Trait keys that people have and the catalogue does not describe."""

from typing import TYPE_CHECKING

import msgspec

from cdp.history.snapshot import snapshot
from cdp.lake.schema import MAPS
from cdp.traits.models import TraitDefinition

if TYPE_CHECKING:
    import ibis.expr.types as ir

MOST = 1000


class UncataloguedKey(msgspec.Struct, frozen=True, rename="camel"):
    """A key, the kind of its values that most people have, and how many people have any."""

    key: str
    data_type: str
    people: int


def uncatalogued_keys() -> list[UncataloguedKey]:
    """Up to `MOST` keys, the most frequent first; objects under dotted keys. One query of the history.

    Personal values never reach the history, so keys that look personal are not among them.
    """
    known = set(TraitDefinition.objects.values_list("key", flat=True))
    with snapshot() as snap:
        rows = snap.run(_counts(snap.tables.people)).to_pylist()
    found: dict[str, UncataloguedKey] = {}
    for row in rows:  # the kinds of a key, the most frequent first
        key = row["key"]
        if key not in known and key.partition(".")[0] not in known and key not in found:
            found[key] = UncataloguedKey(key, row["kind"], row["people"])
    return list(found.values())[:MOST]


def _counts(people: "ir.Table") -> "ir.Table":
    import ibis

    parts = []
    for kind, column in MAPS.items():
        keys = people.select(key=people[column].keys().unnest(), kind=ibis.literal(kind))
        if kind == "text":  # a text that is a time is counted as a time
            keys = people.select(texts=people.text.keys(), times=people.time.keys())
            keys = keys.select(key=keys.texts.unnest(), times=keys.times)
            keys = keys.filter(~keys.times.contains(keys.key)).select("key", kind=ibis.literal(kind))
        parts.append(keys)
    every = ibis.union(*parts)
    counted = every.group_by("key", "kind").agg(people=every.count())
    return counted.order_by(counted.people.desc(), counted.key)
