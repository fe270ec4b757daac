"""Rules as Ibis expressions over the logical tables: one pass for however many rules.

Each condition becomes a column that is true or false for every person, never null. What several rules ask for alike is
computed once: one GROUP BY per event name, one join for consents, memberships and measures each.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cdp.lake.marks import Now
from cdp.lake.rules.aggregates import Clock
from cdp.lake.rules.plan import Plan
from cdp.lake.rules.tree import Aggregate, PersonalLeaf, Rule
from cdp.lake.tables import Tables

if TYPE_CHECKING:
    import ibis.expr.types as ir


def compile_rules(
    rules: Mapping[str, Rule],
    tables: Tables,
    *,
    now: Now,
    zone: str,
    only: "ir.Table | None" = None,
    personal: "Mapping[PersonalLeaf, ir.Table] | None" = None,
) -> "ir.Table":
    """`person` and a boolean column per key of `rules`, one row for every living person (of `only`, if given).

    `now` in µs, or the marks that stand for it; `zone`: where days and calendar periods begin. `only` has a column
    `person`. `personal` has, for each personal leaf, a table with a column `person`: raises KeyError when one is
    missing.
    """
    plan = Plan(tables, Clock(now, zone), only, personal or {})
    plan.need(*rules.values())
    wide = plan.wide()
    return wide.select("person", **{key: plan.holds(rule, wide) for key, rule in rules.items()})


def members_of(
    rule: Rule,
    tables: Tables,
    *,
    now: Now,
    zone: str,
    only: "ir.Table | None" = None,
    personal: "Mapping[PersonalLeaf, ir.Table] | None" = None,
) -> "ir.Table":
    """`person`, once for everybody who satisfies `rule`: like `compile_rules`, but quicker for one rule.

    Conditions that must all hold and that nobody without an event can satisfy are joined with the people who have one.
    """
    plan = Plan(tables, Clock(now, zone), only, personal or {})
    plan.need(rule)
    return plan.members(rule)


def values_of(
    aggregates: Mapping[str, Aggregate],
    tables: Tables,
    *,
    now: Now,
    zone: str,
    only: "ir.Table | None" = None,
) -> "ir.Table":
    """`person` and a column per key: the value of each aggregate for every living person (of `only`, if given).

    Numbers are float64, times int64 (µs), lists are sorted; what is missing is null.
    """
    plan = Plan(tables, Clock(now, zone), only, {})
    plan.need_values(*aggregates.values())
    wide = plan.wide()
    return wide.select("person", **{key: plan.value(aggregate, wide) for key, aggregate in aggregates.items()})
