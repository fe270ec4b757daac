"""What people are compared by: built-in measures, and the categorical traits and purchase categories that are common.

All of it comes from history, where nothing personal is. One row per person, in batches.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from cdp.core.clock import DAY

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np

    from cdp.lake.engine import Snapshot
    from cdp.lake.tables import Tables

    Numbers = np.ndarray[Any, Any]

MEASURED = {
    "ltv": "lifetime value",
    "aov": "average order value",
    "purchaseCount": "number of purchases",
    "daysSinceLastPurchase": "days since the last purchase",
    "daysSinceLastSeen": "days since last seen",
    "eventCount": "number of events",
    "engagementScore": "engagement score",
}
TOP_KEYS, TOP_VALUES, TOP_CATEGORIES = 8, 6, 8
_COMMON = 0.02
_MOST_VALUES = 50


class Choice(msgspec.Struct, frozen=True):
    """A value of a trait that is a feature of its own: 1 for whoever has it."""

    key: str
    value: str


class Plan(msgspec.Struct, frozen=True):
    """Which features there are, in their order; how each is called in words."""

    choices: tuple[Choice, ...]
    categories: tuple[str, ...]
    people: int

    @property
    def words(self) -> list[str]:
        """The features in words."""
        traits = [f"{choice.key} is {choice.value}" for choice in self.choices]
        bought = [f"purchases of {category}" for category in self.categories]
        return [*MEASURED.values(), "has bought", "days since first seen", *traits, *bought]


def plan_features(snap: "Snapshot") -> Plan:
    """The features of this installation: traits with few values that enough people have, the top purchase categories.

    Three queries.
    """
    tables = snap.tables
    people = snap.run(tables.people.agg(people=tables.people.count())).to_pylist()[0]["people"]
    rows = snap.run(_trait_values(tables)).to_pylist()
    by_key: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        by_key.setdefault(row["key"], []).append((row["value"], row["people"]))
    usable = {
        key: values
        for key, values in by_key.items()
        if 2 <= len(values) <= _MOST_VALUES and sum(number for _, number in values) >= _COMMON * people
    }
    keys = sorted(usable, key=lambda key: (-sum(number for _, number in usable[key]), key))[:TOP_KEYS]
    choices = [
        Choice(key, value)
        for key in keys
        for value, number in sorted(usable[key], key=lambda item: (-item[1], item[0]))[:TOP_VALUES]
        if number >= _COMMON * people
    ]
    categories = snap.run(_categories(tables)).to_pylist()
    return Plan(tuple(choices), tuple(row["category"] for row in categories), people)


def feature_batches(
    snap: "Snapshot", plan: Plan, *, now: int
) -> "Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]":
    """(ids of people, one row of features each) in batches, everybody once: one query in constant memory.

    Amounts and counts are on a logarithmic scale, so that a few large ones do not decide.
    """
    import numpy as np

    table = _table(snap.tables, plan, now)
    names = [name for name in table.columns if name != "person"]
    for batch in snap.run_batches(table):
        columns = [batch.column(name).to_numpy(zero_copy_only=False).astype(np.float32) for name in names]
        yield batch.column("person").to_numpy(), np.nan_to_num(np.column_stack(columns))


def _table(tables: "Tables", plan: Plan, now: int) -> "ir.Table":
    import ibis

    from cdp.lake.measures.bases import owned
    from cdp.lake.measures.expressions import measured

    wide = measured([*MEASURED, "firstSeenDate"], tables, now)
    columns: dict[str, Any] = {
        f"m_{name}": (ibis.greatest(wide[name].fill_null(0.0), 0.0) + 1).ln() for name in MEASURED
    }
    columns["bought"] = (wide.purchaseCount > 0).cast("float64")
    columns["tenure"] = (ibis.greatest((now - wide.firstSeenDate).cast("float64") / float(DAY), 0.0) + 1).ln()
    wide = wide.select("person", **columns)
    if plan.choices:
        people = tables.people
        flags = {
            f"c{number}": (_text_of(people, choice.key) == choice.value).fill_null(False).cast("float64")
            for number, choice in enumerate(plan.choices)
        }
        side = people.select(trait_person=people.person, **flags)
        wide = wide.left_join(side, wide.person == side.trait_person).drop("trait_person")
    if plan.categories:
        bought = _purchases(tables)
        sold = owned(bought.select("profile", "p_category"), tables)
        counts = {
            f"p{number}": sold.count(where=sold.p_category == category)
            for number, category in enumerate(plan.categories)
        }
        side = sold.group_by(buyer="person").agg(**counts)
        joined = wide.left_join(side, wide.person == side.buyer).drop("buyer")
        wide = joined.mutate(**{name: (joined[name].fill_null(0).cast("float64") + 1).ln() for name in counts})
    return wide


def _trait_values(tables: "Tables") -> "ir.Table":
    """How many people have each text of each trait that is not a time; typed columns and maps alike."""
    import ibis

    people = tables.people
    parts = [
        people.select(key=ibis.literal(name.removeprefix("t_")), value=people[name])
        for name in people.columns
        if name.startswith("t_") and people[name].type().is_string()
    ]
    entries = people.select(keys=people.text.keys(), times=people.time.keys(), text=people.text)
    entries = entries.select(key=entries.keys.unnest(), times=entries.times, text=entries.text)
    entries = entries.filter(~entries.times.contains(entries.key))
    parts.append(entries.select("key", value=entries.text.get(entries.key)))
    every = ibis.union(*parts) if len(parts) > 1 else parts[0]
    every = every.filter(every.value.notnull())
    return every.group_by("key", "value").agg(people=every.count())


def _text_of(people: "ir.Table", key: str) -> "ir.Value":
    import ibis

    typed = f"t_{key}"
    if typed in people.columns and people[typed].type().is_string():
        return people[typed]
    return people.text.get(ibis.literal(key))


def _purchases(tables: "Tables") -> "ir.Table":
    events = tables.events
    return events.filter((events.type == "PURCHASE") & events.p_category.notnull())


def _categories(tables: "Tables") -> "ir.Table":
    bought = _purchases(tables)
    counted = bought.group_by(category="p_category").agg(number=bought.count())
    return counted.order_by(counted.number.desc(), counted.category).limit(TOP_CATEGORIES)


def is_in(people: "Numbers", members: "Numbers") -> "Numbers":
    """For each of `people` whether they are among `members` (sorted)."""
    import numpy as np

    if not len(members):
        return np.zeros(len(people), dtype=bool)
    places = np.minimum(np.searchsorted(members, people), len(members) - 1)
    found: Numbers = members[places] == people
    return found
