"""Sequences as Ibis, from the last step to the first: one window per step, over the events of that step and the next.

`done` of an event that can be step i is when the rest of the sequence is completed at the earliest. Among the events
that can be the next step, an earlier one never completes later, so it is enough to know the earliest. Whoever has no
event that completes the rest is left out before the next window.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ibis

from cdp.lake.rules.aggregates import Clock, matching, with_person
from cdp.lake.rules.compare import all_of, any_of
from cdp.lake.rules.tree import Sequence, Step

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(slots=True)
class _Stage:
    """A positive step with the negated ones that follow it."""

    step: Step
    never: list[Step] = field(default_factory=list)


def completed(sequence: Sequence, events: "ir.Table", moved: "ir.Table", clock: Clock) -> "ir.Table":
    """`person`, once for everybody who went through `sequence`."""
    return _Walk(sequence, events, moved, clock).people()


class _Walk:
    """One sequence over the events of everybody."""

    def __init__(self, sequence: Sequence, events: "ir.Table", moved: "ir.Table", clock: Clock) -> None:
        self._sequence = sequence
        self._moved = moved
        self._clock = clock
        self._events = events.filter(events.ts <= clock.now)
        if sequence.lookback is not None:
            self._events = self._events.filter(events.ts >= clock.now - _us(sequence.lookback))

    def people(self) -> "ir.Table":
        """Those who went through it."""
        stages: list[_Stage] = []
        for step in self._sequence.steps:
            if step.negate:
                stages[-1].never.append(step)
            else:
                stages.append(_Stage(step))
        found = self._last(stages[-1])
        for stage, following in zip(reversed(stages[:-1]), reversed(stages[1:]), strict=True):
            found = self._before(stage, following.step, found)
        if self._sequence.within is not None:
            found = found.filter(found.done - found.ts <= _us(self._sequence.within))
        return found.select("person").distinct()

    def _last(self, stage: _Stage) -> "ir.Table":
        """`person, ts, done` of the last positive step, where what must not follow did not, and cannot any more."""
        rows = self._rows(stage)
        if stage.never:
            ends = [self._span_after(step) for step in stage.never]
            nexts = {f"next{number}": _next(rows, f"never{number}", span) for number, span in enumerate(ends)}
            rows = rows.mutate(**nexts)
            never = all_of(rows[name].isnull() for name in nexts)
            rows = rows.filter(rows.asks & (rows.ts <= self._clock.now - _us(max(ends))) & never)
        return rows.select("person", "ts", done=rows.ts)

    def _before(self, stage: _Stage, following: Step, found: "ir.Table") -> "ir.Table":
        """`person, ts, done` of a step, out of those of the next one."""
        gap = following.after if following.after is not None else self._sequence.within
        asking = self._rows(stage).semi_join(found, "person").mutate(done=ibis.null("int64"))
        flags = {name: ibis.literal(False) for name in asking.columns if name not in ("person", "ts", "done")}
        rows = asking.union(found.mutate(**flags).select(*asking.columns))
        nexts = {f"next{number}": _next(rows, f"never{number}", step.after) for number, step in enumerate(stage.never)}
        columns = {"rest": rows.done.min().over(_later(gap)), **nexts}
        if stage.never:
            columns["at"] = rows.done.notnull().ifelse(rows.ts, ibis.null("int64")).min().over(_later(gap))
        rows = rows.mutate(**columns)
        fits = all_of([rows.asks, rows.rest.notnull(), *((rows[name] >= rows["at"]).fill_null(True) for name in nexts)])
        reached = rows.filter(fits)
        return reached.select("person", "ts", done=reached.rest)

    def _rows(self, stage: _Stage) -> "ir.Table":
        """`person, ts` of the events that can be a stage's step (`asks`) or must not come (`never0`, …)."""
        steps = {"asks": stage.step} | {f"never{number}": step for number, step in enumerate(stage.never)}
        events = self._events
        matches = dict.fromkeys(step.match for step in steps.values())
        events = events.filter(any_of(matching(events, match) for match in matches))
        hits = {name: self._hit(events, step) for name, step in steps.items()}
        rows = events.select("profile", "ts", **hits)
        if any(step.where is not None for step in steps.values()):
            rows = rows.filter(any_of(rows[name] for name in hits))
        return with_person(rows, self._moved).select("person", "ts", *hits)

    def _hit(self, events: "ir.Table", step: Step) -> "ir.BooleanValue":
        hit = matching(events, step.match)
        return hit if step.where is None else hit & self._clock.where(events, step.where)

    def _span_after(self, step: Step) -> int:
        span = step.after if step.after is not None else self._sequence.within
        assert span is not None, "the parser asks for one of them"
        return span


def _next(rows: "ir.Table", flag: str, span: int | None) -> "ir.Value":
    """When a row with `flag` comes next, strictly later and at most `span` later."""
    return rows[flag].ifelse(rows.ts, ibis.null("int64")).min().over(_later(span))


def _later(span: int | None) -> "ir.Value":
    return ibis.window(group_by="person", order_by="ts", range=(1, span))


def _us(time: int) -> "ir.Value":
    return ibis.literal(time, type="int64")
