"""What some rules need from the tables, joined to the people once each; a condition is then a look at a column."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import ibis

from cdp.lake.measures import MEASURES
from cdp.lake.rules.aggregates import PLACES, Clock, aggregated, finished
from cdp.lake.rules.compare import Values, connected, holds, in_columns, kinds_read
from cdp.lake.rules.facts import leaves
from cdp.lake.rules.nobody import false_if_absent
from cdp.lake.rules.sequences import completed
from cdp.lake.rules.tree import (
    Aggregate,
    Consent,
    Field,
    Group,
    Happened,
    Kind,
    Leaf,
    Measured,
    Member,
    Personal,
    PersonalLeaf,
    Rule,
    Sequence,
    Trait,
)
from cdp.lake.tables import Tables

if TYPE_CHECKING:
    import ibis.expr.types as ir

_FIELDS = {"createdAt": "created"}


Subject = Aggregate | Sequence | PersonalLeaf | Member


@dataclass(slots=True)
class _Part:
    """A table with `person`, which has columns for some subjects of conditions; who has none of them may lack a row."""

    table: "ir.Table"
    subjects: "frozenset[Subject]" = frozenset()

    def has(self, leaf: Leaf) -> bool:
        """Whether `leaf` asks about one of its subjects."""
        return _subject(leaf) in self.subjects


def _subject(leaf: Leaf) -> Subject | None:
    if isinstance(leaf, Happened):
        return leaf.aggregate
    if isinstance(leaf, Sequence):
        return leaf
    if isinstance(leaf, Personal):
        return leaf.leaf
    return Member(leaf.segment) if isinstance(leaf, Member) else None


class Plan:
    """Each thing that is needed, under the name of the column that will have it."""

    def __init__(
        self, tables: Tables, clock: Clock, only: "ir.Table | None", personal: "Mapping[PersonalLeaf, ir.Table]"
    ) -> None:
        self._tables = tables if only is None else _only(tables, only)
        self._everybody = tables
        self._clock = clock
        self._personal = personal
        self._aggregates: dict[Aggregate, str] = {}
        self._sequences: dict[Sequence, str] = {}
        self._leaves: dict[PersonalLeaf, str] = {}
        self._segments: dict[str, str] = {}
        self._measures: dict[str, str] = {}
        self._traits: dict[tuple[str, Kind], str] = {}
        self._consents: dict[str, str] = {}

    def need(self, *rules: Rule) -> None:
        """Note what rules ask for."""
        for rule in rules:
            for leaf in leaves(rule):
                if isinstance(leaf, Happened):
                    self.need_values(leaf.aggregate)
                elif isinstance(leaf, Sequence):
                    self._sequences.setdefault(leaf, f"q{len(self._sequences)}")
                elif isinstance(leaf, Personal):
                    self._leaves.setdefault(leaf.leaf, f"p{len(self._leaves)}")
                elif isinstance(leaf, Member):
                    self._segments.setdefault(leaf.segment, f"s{len(self._segments)}")
                elif isinstance(leaf, Consent):
                    self._consents.setdefault(leaf.type, f"c{len(self._consents)}")
                elif isinstance(leaf, Trait):
                    for kind in kinds_read(leaf.test):
                        self._traits.setdefault((leaf.key, kind), f"t{len(self._traits)}")
                elif isinstance(leaf, Measured):
                    self._measures.setdefault(leaf.name, f"m{len(self._measures)}")

    def need_values(self, *aggregates: Aggregate) -> None:
        """Note the aggregates that are asked for."""
        for aggregate in aggregates:
            self._aggregates.setdefault(aggregate, f"a{len(self._aggregates)}")

    def wide(self) -> "ir.Table":
        """A row for every person, with all that is needed."""
        table = self._people()
        for number, part in enumerate(self._parts()):
            table = _joined(table, part.table, f"person{number}", "left")
        return table

    def members(self, rule: Rule) -> "ir.Table":
        """`person` of those for whom `rule` holds; who lacks what it cannot hold without is left out early."""
        table = self._people()
        for number, part in enumerate(self._parts()):
            how = "inner" if false_if_absent(rule, part.has) else "left"
            table = _joined(table, part.table, f"person{number}", how)
        return table.filter(self.holds(rule, table)).select("person")

    def holds(self, rule: Rule, wide: "ir.Table") -> "ir.BooleanValue":
        """Whether `rule` holds, over the rows of `wide` or of a part of them."""
        if isinstance(rule, Group):
            return connected(rule.operator, [self.holds(part, wide) for part in rule.parts])
        if isinstance(rule, Consent):
            granted = wide[self._consents[rule.type]]
            return granted if rule.granted else ~granted
        if isinstance(rule, Member):
            inside = wide[self._segments[rule.segment]].fill_null(False)
            return inside if rule.member else ~inside
        if isinstance(rule, Personal):
            found = wide[self._leaves[rule.leaf]].fill_null(False)
            return found if rule.holds else ~found
        if isinstance(rule, Sequence):
            return wide[self._sequences[rule]].fill_null(False)
        zone = "UTC" if isinstance(rule, Trait | Happened) else self._clock.zone
        return holds(rule.test, self._values(rule, wide), now=self._clock.now, zone=zone)

    def value(self, aggregate: Aggregate, wide: "ir.Table") -> "ir.Value":
        """The value of an aggregate that was needed."""
        return finished(aggregate, wide[self._aggregates[aggregate]])

    def _values(self, leaf: Trait | Field | Measured | Happened, wide: "ir.Table") -> Values:
        if isinstance(leaf, Trait):
            return lambda kind: wide[self._traits[leaf.key, kind]]
        if isinstance(leaf, Field):
            return lambda _kind: wide[_FIELDS[leaf.name]]
        if isinstance(leaf, Happened):
            return lambda _kind: self.value(leaf.aggregate, wide)
        measure = wide[self._measures[leaf.name]]
        return lambda kind: measure.round(PLACES) if kind == "number" else measure

    def _people(self) -> "ir.Table":
        """People with what is looked at of their row, each thing once: joins carry plain columns better than maps."""
        people, now = self._tables.people, self._clock.now
        columns: dict[str, ir.Value] = {}
        for (key, kind), column in self._traits.items():
            value = in_columns(people, key, f"t_{key}")(kind)
            # What has run out is missing; few values ever run out.
            alive = (people.expires.length() == 0) | (people.expires.get(ibis.literal(key)) > now).fill_null(True)
            columns[column] = alive.ifelse(value, ibis.null(value.type()))
        for type_, column in self._consents.items():
            columns[column] = (people.consents.get(ibis.literal(type_)) > now).fill_null(False)
        return people.select("person", "created", **columns)

    def _parts(self) -> list[_Part]:
        events, moved = self._tables.events, self._tables.moved
        parts = [_Part(table, subjects) for subjects, table in aggregated(self._aggregates, events, moved, self._clock)]
        for sequence, column in self._sequences.items():
            done = completed(sequence, events, moved, self._clock)
            parts.append(_Part(done.mutate(**{column: ibis.literal(True)}), frozenset((sequence,))))
        for leaf, column in self._leaves.items():
            ids = self._personal[leaf].select("person").distinct()
            parts.append(_Part(ids.mutate(**{column: ibis.literal(True)}), frozenset((leaf,))))
        if self._segments:
            parts.append(_Part(self._memberships(), frozenset(Member(key) for key in self._segments)))
        return parts + [_Part(table) for table in self._measured()]

    def _memberships(self) -> "ir.Table":
        members = self._tables.members
        found = members.filter(members.segment.isin(list(self._segments)))
        flags = {column: (found.segment == key).any() for key, column in self._segments.items()}
        return found.group_by("person").agg(**flags)

    def _measured(self) -> "list[ir.Table]":
        """The measures; those that compare people with each other are made of everybody."""
        from cdp.lake.measures.expressions import measured

        found = []
        for local, tables in ((True, self._tables), (False, self._everybody)):
            names = [name for name in self._measures if MEASURES[name].local == local]
            if names:
                table = measured(names, tables, self._clock.given)
                found.append(table.select("person", **{self._measures[name]: table[name] for name in names}))
        return found


def _joined(table: "ir.Table", part: "ir.Table", name: str, how: str) -> "ir.Table":
    other = part.rename(**{name: "person"})
    return table.join(other, table.person == other[name], how=how).drop(name)


def _only(tables: Tables, only: "ir.Table") -> Tables:
    """The tables of some people: the rows of others are left out before anything is computed."""
    chosen = only.select("person").distinct()
    moved = tables.moved.semi_join(chosen, "person")
    fragments = chosen.select(profile="person").union(moved.select("profile"))
    return replace(
        tables,
        people=tables.people.semi_join(chosen, "person"),
        events=tables.events.semi_join(fragments, "profile"),
        moved=moved,
        members=tables.members.semi_join(chosen, "person"),
    )
