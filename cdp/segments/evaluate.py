"""Who is in segments now: all their rules in one pass over one moment of history, for everybody or for some people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.conf import settings

from cdp.core.errors import DomainError
from cdp.history.snapshot import snapshot
from cdp.lake.marks import Now
from cdp.lake.rules.compile import compile_rules, members_of
from cdp.lake.rules.errors import RuleError
from cdp.lake.rules.facts import facts, leaves
from cdp.lake.rules.parse import parse
from cdp.lake.rules.tree import Happened, Measured, Member, PersonalLeaf, Rule
from cdp.lake.rules.tree import Sequence as Steps
from cdp.segments.catalogue import catalogue
from cdp.segments.definition import in_order
from cdp.segments.members import members_table
from cdp.segments.membership import listed_people
from cdp.segments.models import Segment
from cdp.segments.personal import personal_tables
from cdp.traits.expressions import calculations, with_calculated

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from cdp.lake.engine import Snapshot
    from cdp.lake.tables import Tables


_OF_EVENTS = (Happened, Steps, Measured, Member)


@dataclass(slots=True)
class Evaluation:
    """`members` by segment id: ids of people in order, none twice. `errors`: why a segment could not be evaluated.

    `order` are the segments that could be, each after those that it refers to. `by_events` are those whose rule looks
    at nothing else.
    """

    members: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    order: list[Segment] = field(default_factory=list)
    by_events: set[int] = field(default_factory=set)

    def some(self, segment_id: int) -> set[int]:
        """The members of one segment as a set, for when they are few."""
        return set(self.members[segment_id].tolist())


def evaluate(segments: Sequence[Segment], *, now: int, people: Sequence[int] | None = None) -> Evaluation:
    """The members that `segments` have at `now` (µs), among `people` (ids of people) if given.

    It sees everything that was committed before the call. One snapshot, and one run for each level of segments that
    refer to each other. When a run fails, each of its rules is run alone, so that only those fail that must.
    """
    import numpy as np

    found = Evaluation()
    lists = [segment for segment in segments if segment.listed]
    for segment_id, listed in listed_people([segment.pk for segment in lists], people).items():
        found.members[segment_id] = np.array(sorted(listed), dtype=np.int64)
    found.order += lists
    rules = _read([segment for segment in segments if not segment.listed], found)
    if not rules:
        return found
    found.by_events = {pk for pk, rule in rules.items() if all(isinstance(leaf, _OF_EVENTS) for leaf in leaves(rule))}
    asked = [leaf for rule in rules.values() for leaf in facts(rule).personal]
    personal = personal_tables(asked, now=now, people=people)
    with snapshot() as snap:
        # Lists as they will be written too: whoever was merged since is in them under another id.
        listed_now = {segment.key: found.members[segment.pk] for segment in lists}
        run = _Run(snap, personal, now=now, people=people, known=listed_now)
        for level in in_order([segment for segment in segments if segment.pk in rules]):
            run.level(level, rules, found)
    return found


def _read(segments: Sequence[Segment], found: Evaluation) -> dict[int, Rule]:
    """The rules by segment id; one that cannot be read any more is an error of its segment."""
    names = catalogue()
    rules = {}
    for segment in segments:
        try:
            rules[segment.pk] = parse(segment.rules, names)
        except RuleError as error:
            found.errors[segment.pk] = str(error)
    return rules


class _Run:
    """One snapshot, asked level by level: what a level found is what the next one takes for members."""

    def __init__(
        self,
        snap: "Snapshot",
        personal: "dict[PersonalLeaf, pa.Table]",
        *,
        now: int,
        people: Sequence[int] | None,
        known: dict[str, Any],
    ) -> None:
        import pyarrow as pa

        self._snap = snap
        self._personal = bring_personal(snap, personal)
        self._now = now
        self._people = people
        self._only = None if people is None else snap.bring("only", pa.table({"person": pa.array(people, pa.int64())}))
        self._known = known

    def level(self, segments: Sequence[Segment], rules: Mapping[int, Rule], found: Evaluation) -> None:
        """Evaluate segments that refer only to those of the levels before, or to others."""
        try:
            members = self._members(segments, rules)
        except failures() as error:
            if len(segments) == 1:
                found.errors[segments[0].pk] = f"{type(error).__name__}: {error}"
                return
            for segment in segments:
                self.level([segment], rules, found)
            return
        for segment in segments:
            found.members[segment.pk] = self._known[segment.key] = members[segment.pk]
            found.order.append(segment)

    def _members(self, segments: Sequence[Segment], rules: Mapping[int, Rule]) -> dict[int, Any]:
        import numpy as np

        asked = {key for segment in segments for key in segment.refers_to}
        known = {key: self._known[key] for key in asked & self._known.keys()}
        members = self._snap.bring("members", members_table(asked, people=self._people, known=known))
        mine = {f"s{segment.pk}": rules[segment.pk] for segment in segments}
        traits = {key for rule in mine.values() for key in facts(rule).traits}
        zone, only, personal = settings.TIME_ZONE, self._only, self._personal

        def build(tables: "Tables", now: Now) -> "ir.Table":
            tables = with_calculated(replace(tables, members=members), traits, now=now, zone=zone)
            if len(mine) == 1:
                [rule] = mine.values()
                return members_of(rule, tables, now=now, zone=zone, only=only, personal=personal)
            return compile_rules(mine, tables, now=now, zone=zone, only=only, personal=personal)

        key = ("evaluate", zone, only is None, tuple(mine.items()), tuple(personal), calculations(traits))
        answer = self._snap.ask(key, build, now=self._now)
        people = answer.column("person").to_numpy()
        if len(segments) == 1:
            return {segments[0].pk: np.sort(people)}
        return {segment.pk: _chosen(people, answer.column(f"s{segment.pk}")) for segment in segments}


def bring_personal(snap: "Snapshot", found: "Mapping[PersonalLeaf, pa.Table]") -> "dict[PersonalLeaf, ir.Table]":
    """The answers to personal leaves as tables of the snapshot, named by their place among the leaves."""
    return {leaf: snap.bring(f"personal_{number}", rows) for number, (leaf, rows) in enumerate(found.items())}


def _chosen(people: Any, flags: Any) -> Any:
    """The people whose flag is true, in order."""
    import numpy as np

    return np.sort(people[flags.to_numpy(zero_copy_only=False).astype(bool)])


def failures() -> tuple[type[Exception], ...]:
    """What an engine raises at a rule that it cannot run."""
    import duckdb
    from ibis.common.exceptions import IbisError

    return (DomainError, IbisError, duckdb.Error)
