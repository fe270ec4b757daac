"""Calculated fields for everybody: the people table with a typed column for each that a rule names."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cdp.lake.fields.tree import Name, names_in
from cdp.lake.marks import Now, instant
from cdp.lake.schema import MAPS
from cdp.traits.catalogue import catalogue
from cdp.traits.computed import aggregates

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cdp.lake.fields.tree import Node
    from cdp.lake.tables import Tables


def calculated_kinds() -> dict[str, str]:
    """Key → kind of every calculated field: to a rule they are traits with a typed column."""
    return {key: tree.kind for key, tree in catalogue().calculated.items()}


def with_calculated(tables: "Tables", keys: Iterable[str], *, now: Now, zone: str) -> "Tables":
    """`tables` whose people have the column `t_<key>` for those of `keys` that are calculated fields.

    Other keys are left alone, so the traits that a rule names can be given as they are. `now` in µs; `zone` is where
    calendar periods of computed traits begin.
    """
    wanted = _needed(keys)
    if not wanted:
        return tables
    from cdp.lake.fields.expression import expression

    names = {name for tree in wanted.values() for name in names_in(tree)}
    people = _joined(tables, names, now=now, zone=zone)
    for key, tree in wanted.items():
        table = people

        def column(name: Name, table: "ir.Table" = table) -> "ir.Value":
            return _column(table, name, now)

        people = people.mutate(**{f"t_{key}": expression(tree, column, now=now)})
    return replace(tables, people=people.select(*tables.people.columns, *(f"t_{key}" for key in wanted)))


def calculations(keys: Iterable[str]) -> Hashable:
    """What `with_calculated` adds for `keys`: equal as long as it adds the same."""
    wanted = _needed(keys)
    names = {name.key for tree in wanted.values() for name in names_in(tree) if name.origin == "computed"}
    known = aggregates() if names else {}
    return tuple(wanted.items()), tuple(sorted((key, known[key]) for key in names & known.keys()))


def _needed(keys: Iterable[str]) -> dict[str, "Node"]:
    """The fields of `keys` and those that they name, in an order in which each follows those that it names."""
    fields = catalogue().calculated
    wanted: set[str] = set()
    for key in reversed(list(fields)):
        if key in wanted or key in set(keys):
            wanted |= {key, *(name.key for name in names_in(fields[key]) if name.origin == "calculated")}
    return {key: tree for key, tree in fields.items() if key in wanted}


def _joined(tables: "Tables", names: Iterable[Name], *, now: Now, zone: str) -> "ir.Table":
    """People with what the names of measures and computed traits stand for, as `of_<key>`."""
    from cdp.lake.measures.expressions import measured
    from cdp.lake.rules.compile import values_of

    people = tables.people
    measures = sorted(name.key for name in names if name.origin == "measure")
    known: Mapping[str, object] = aggregates()
    computed = sorted(name.key for name in names if name.origin == "computed" and name.key in known)
    parts = []
    if measures:
        parts.append(measured(measures, tables, now))
    if computed:
        parts.append(values_of({key: aggregates()[key] for key in computed}, tables, now=now, zone=zone))
    for number, part in enumerate(parts):
        side = part.rename({f"person_{number}": "person", **{f"of_{n}": n for n in part.columns if n != "person"}})
        people = people.left_join(side, people.person == side[f"person_{number}"])
    return people


def _column(people: "ir.Table", name: Name, now: Now) -> "ir.Value":
    import ibis

    if name.origin == "calculated":
        return people[f"t_{name.key}"]
    if name.origin != "trait":
        return people[f"of_{name.key}"]
    typed = f"t_{name.key}"
    value = people[typed] if typed in people.columns else people[MAPS[name.kind]].get(ibis.literal(name.key))
    top = name.key.partition(".")[0]
    ends = [people.expires.get(ibis.literal(key)) for key in dict.fromkeys((name.key, top))]
    at = instant(now)
    until = ibis.coalesce(*ends, at + 1)
    return ibis.cases((until > at, value), else_=ibis.null(value.type()))
