"""Which retention policy decides about an event, as one tree that is written out for both stores.

The preview, the run on the operational store and the run on the lake all stand on the same `Decisions`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdp.access.models import Source
from cdp.consents.models import GateRule
from cdp.core.clock import DAY
from cdp.pipeline.message import CALLS
from cdp.privacy.models import RetentionPolicy

if TYPE_CHECKING:
    import ibis.expr.types as ir

_NEVER = -(2**62)


@dataclass(frozen=True, slots=True)
class Condition:
    """What an event must be: each None is for any. `named` are names or types, `names` names alone."""

    named: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    calls: tuple[int, ...] | None = None
    sources: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A policy (by its primary key), the events it is for (any of the conditions), and the time before which they go.

    `cutoff` None: it decides about them, and is not asked to delete anything.
    """

    policy: int
    conditions: tuple[Condition, ...]
    cutoff: int | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """Policies in the order in which they decide: the first one that is for an event does."""

    decisions: tuple[Decision, ...]

    @property
    def latest(self) -> int | None:
        """The latest cutoff; None when nothing is to go. No event from then on does."""
        return max((one.cutoff for one in self.decisions if one.cutoff is not None), default=None)

    def sql(self, *, postgres: bool) -> "tuple[str, list[Any]]":
        """An expression over an event `e`: the policy by which it is to go, else 0; with its parameters."""
        whens, params = [], []
        for one in self.decisions:
            text, given = _any_sql(one.conditions, postgres=postgres)
            whens.append(f"when {text} then case when e.ts < ? then {int(one.policy)} else 0 end")
            params += [*given, _NEVER if one.cutoff is None else one.cutoff]
        return (f"case {' '.join(whens)} else 0 end", params) if whens else ("0", [])

    def lake(self, rows: "ir.Table") -> "ir.IntegerColumn":
        """The same over the lake's `events`."""
        import ibis

        branches = []
        for one in self.decisions:
            cutoff = _NEVER if one.cutoff is None else one.cutoff
            gone = (rows.ts < cutoff).ifelse(ibis.literal(one.policy, "int64"), ibis.literal(0, "int64"))
            branches.append((_any_lake(rows, one.conditions), gone))
        nothing = ibis.literal(0, "int64")
        return ibis.cases(*branches, else_=nothing) if branches else nothing


def decisions(policies: Iterable[RetentionPolicy], *, deleting: Iterable[RetentionPolicy], now: int) -> Decisions:
    """How `policies` (those for events are looked at) decide at `now` (µs) when only `deleting` may delete.

    Policies that name something come first, the shortest before the others, then the defaults. Three queries at most.
    """
    for_events = [policy for policy in policies if policy.subject == RetentionPolicy.Subject.EVENTS]
    may = {policy.pk for policy in deleting}
    rules = _Rules()
    return Decisions(
        tuple(
            Decision(policy.pk, rules.conditions(policy), now - policy.days * DAY if policy.pk in may else None)
            for policy in sorted(for_events, key=lambda one: (is_default(one), one.days, one.pk))
        )
    )


def is_default(policy: RetentionPolicy) -> bool:
    """Whether it names nothing."""
    return not policy.event_names and policy.source_id is None and policy.purpose_id is None


class _Rules:
    """The gate's rules and the kinds of sources, read when a policy names a purpose."""

    def __init__(self) -> None:
        self._rules: list[GateRule] | None = None
        self._kinds: dict[str, tuple[int, ...]] = {}

    def conditions(self, policy: RetentionPolicy) -> tuple[Condition, ...]:
        """What an event must be for `policy` to be for it; none: no event is."""
        named = tuple(policy.event_names) or None
        source = None if policy.source_id is None else (policy.source_id,)
        if policy.purpose_id is None:
            return (Condition(named=named, sources=source),)
        return tuple(
            Condition(
                named=named,
                names=tuple(rule.names) or None,
                calls=tuple(CALLS[call] for call in rule.calls if call in CALLS) if rule.calls else None,
                sources=_both(source, self._kind(rule.source_kind)),
            )
            for rule in self._all()
            if rule.purpose_id == policy.purpose_id
        )

    def _all(self) -> list[GateRule]:
        if self._rules is None:
            self._rules = list(GateRule.objects.filter(active=True).order_by("id"))
        return self._rules

    def _kind(self, kind: str) -> tuple[int, ...] | None:
        if not kind:
            return None
        if kind not in self._kinds:
            self._kinds[kind] = tuple(Source.objects.filter(kind=kind).values_list("pk", flat=True))
        return self._kinds[kind]


def _both(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if one is None or other is None:
        return one if other is None else other
    return tuple(number for number in one if number in other)


def _any_sql(conditions: Sequence[Condition], *, postgres: bool) -> tuple[str, list[Any]]:
    texts, params = [], []
    for one in conditions:
        parts: list[str] = []
        if one.named is not None:
            parts.append(f"({_among('e.name', 'text', postgres)} or {_among('e.type', 'text', postgres)})")
            params += [_bound(one.named, postgres)] * 2
        for column, kind, wanted in (
            ("e.name", "text", one.names),
            ("e.call", "int", one.calls),
            ("e.source_id", "bigint", one.sources),
        ):
            if wanted is not None:
                parts.append(_among(column, kind, postgres))
                params.append(_bound(wanted, postgres))
        texts.append(" and ".join(parts) or "1 = 1")
    return " or ".join(f"({text})" for text in texts) or "1 = 0", params


def _among(column: str, kind: str, postgres: bool) -> str:
    return f"{column} = any(?::{kind}[])" if postgres else f"{column} in (select value from json_each(?))"


def _bound(values: tuple[Any, ...], postgres: bool) -> Any:
    return list(values) if postgres else json.dumps(values)


def _any_lake(rows: "ir.Table", conditions: Sequence[Condition]) -> "ir.BooleanValue":
    import ibis

    found: Any = ibis.literal(False)
    for one in conditions:
        matches: Any = ibis.literal(True)
        if one.named is not None:
            matches = matches & (rows.event.isin(one.named) | rows.type.isin(one.named))
        for column, wanted in ((rows.event, one.names), (rows.call, one.calls), (rows.source, one.sources)):
            if wanted is not None:
                matches = matches & (column.isin(wanted) if wanted else ibis.literal(False))
        found = found | matches
    return found.fill_null(False)
