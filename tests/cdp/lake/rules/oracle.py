"""The meaning of rules, told naively: rule JSON against lists of dictionaries, one person at a time.

It shares no code with the compiler and none with the parser: it reads canonical and seed spellings by itself.
"""

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from tests.cdp.lake.rules.world import TYPED_PROPERTIES, TYPED_TRAITS, World

DAY = 86_400_000_000
MISSING = object()
UNITS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": DAY, "w": 7 * DAY}
SPELLINGS = {"equals": "=", "not_equals": "!=", "greater_than": ">", "less_than": "<", "greaterThanOrEqual": ">="}
NEGATIVE = ("!=", "not_in", "not_contains", "not_exists")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Oracle:
    """Answers for one world at one moment. `computed`: aggregates by name; `personal`: (field, operator) → people."""

    def __init__(
        self,
        world: World,
        now: int,
        zone: str,
        computed: dict[str, dict[str, Any]],
        personal: dict[tuple[str, str], set[int]],
    ) -> None:
        self.world = world
        self.now = now
        self.zone = zone
        self.computed = computed
        self.personal = personal

    def members(self, rule: Any) -> set[int]:
        return {one["person"] for one in self.world.people if self.satisfies(one, rule)}

    def satisfies(self, person: dict[str, Any], rule: Any) -> bool:
        if isinstance(rule, list):
            return all(self.satisfies(person, part) for part in rule)
        if "conditions" in rule:
            parts = [self.satisfies(person, part) for part in rule["conditions"]]
            operator = rule.get("operator", "AND").upper()
            return any(parts) if operator == "OR" else all(parts) if operator == "AND" else not all(parts)
        if "event" in rule:
            return self.happened(person, rule)
        if "sequence" in rule:
            return self.went_through(person, rule)
        if "consent" in rule:
            return (person["consents"].get(rule["consent"], -1) > self.now) == rule.get("granted", True)
        if "segment" in rule:
            return (person["person"] in self.world.members.get(rule["segment"], set())) == rule.get("member", True)
        return self.valued(person, rule)

    def valued(self, person: dict[str, Any], rule: Any) -> bool:
        name = rule.get("field") or rule.get("trait") or rule.get("computed")
        operator = rule["operator"]
        if (name, "exists") in self.personal:
            asked = "exists" if operator == "not_exists" else operator
            return (person["person"] in self.personal[name, asked]) == (operator != "not_exists")
        if "trait" not in rule:
            if name == "createdAt":
                return self.test(person["created"], rule, "time", self.zone)
            if name == "purchaseCount":
                return self.test(float(len(self.events(person, "purchase"))), rule, "number")
            if name == "firstSeenDate":
                times = [event["ts"] for event in self.events(person, None)]
                return self.test(min(times, default=person["created"]), rule, "time", self.zone)
            if name in self.computed:
                kind = {"unique_list": "list", "last": "text", "most_frequent": "text"}
                aggregate = self.computed[name]
                return self.test(
                    self.aggregate(person, aggregate), rule, kind.get(aggregate.get("aggregate", "count"), "number")
                )
        until = person["expires"].get(name)
        value = person["traits"].get(name, MISSING) if until is None or until > self.now else MISSING
        return self.test(value, rule, TYPED_TRAITS.get(name))

    def test(self, value: Any, rule: Any, kind: str | None, zone: str = "UTC") -> bool:
        operator, operand = SPELLINGS.get(rule["operator"], rule["operator"]), rule.get("value")
        first = operand[0] if isinstance(operand, list) else operand
        if operator in ("exists", "not_exists"):
            there = value is not MISSING and (kind is None or read(value, kind) is not MISSING)
            return there == (operator == "exists")
        if operator in ("before", "after", "within_last", "within_next"):
            kind = "time"
        elif kind is None:
            kind = kind_of(first)
            if operator in (">", ">=", "<", "<=", "between") and kind == "text" and edges(first, "UTC") is not None:
                kind = "time"
            if operator in ("contains", "not_contains"):
                kind = "list" if isinstance(value, list) else "text"
        value = read(value, kind)
        if value is MISSING:
            return operator in NEGATIVE
        if kind == "list":
            return (operand in value) == (operator == "contains")
        if kind == "time":
            return self.time(value, operator, operand, zone)
        return {
            "=": lambda: value == operand,
            "!=": lambda: value != operand,
            ">": lambda: value > operand,
            ">=": lambda: value >= operand,
            "<": lambda: value < operand,
            "<=": lambda: value <= operand,
            "in": lambda: any(value == one for one in operand),
            "not_in": lambda: all(value != one for one in operand),
            "between": lambda: operand[0] <= value <= operand[1],
            "contains": lambda: operand in value,
            "not_contains": lambda: operand not in value,
            "starts_with": lambda: value.startswith(operand),
            "ends_with": lambda: value.endswith(operand),
        }[operator]()

    def time(self, value: int, operator: str, operand: Any, zone: str) -> bool:
        if operator == "within_last":
            return self.now - span(operand) <= value <= self.now
        if operator == "within_next":
            return self.now <= value <= self.now + span(operand)
        operands = operand if isinstance(operand, list) else [operand]
        begins, ends = zip(*(edges(one, zone) for one in operands), strict=True)
        inside = any(begin <= value < end for begin, end in zip(begins, ends, strict=True))
        return {
            "=": inside,
            "!=": not inside,
            "in": inside,
            "not_in": not inside,
            "before": value < begins[0],
            "<": value < begins[0],
            "<=": value < ends[0],
            ">=": value >= begins[0],
            "after": value >= ends[0],
            ">": value >= ends[0],
            "between": begins[0] <= value < ends[-1],
        }[operator]

    def events(self, person: dict[str, Any], name: str | None) -> list[dict[str, Any]]:
        """Those of a person until now, by name or type."""
        found = []
        for event in self.world.events:
            owner = self.world.moved.get(event["profile"], event["profile"])
            if owner == person["person"] and event["ts"] <= self.now and (name is None or matches(event, name)):
                found.append(event)
        return found

    def happened(self, person: dict[str, Any], rule: Any) -> bool:
        if "operator" not in rule:
            return self.aggregate(person, rule) >= 1
        function = rule.get("aggregate", "count")
        if function == "unique_list":
            kind: str | None = "list"
        elif function in ("count", "sum", "avg", "distinct"):
            kind = "number"
        else:
            kind = TYPED_PROPERTIES[rule["property"]].kind if rule["property"] in TYPED_PROPERTIES else rule["kind"]
        return self.test(self.aggregate(person, rule), rule, kind)

    def aggregate(self, person: dict[str, Any], rule: Any) -> Any:
        events = [event for event in self.events(person, rule["event"]) if self.counts(event, rule)]
        function = rule.get("aggregate", "count")
        if function == "count":
            return float(len(events))
        name = rule["property"]
        given = [(event["ts"], event["properties"][name]) for event in events if name in event["properties"]]
        if function == "distinct":
            kinds = [TYPED_PROPERTIES[name].kind] if name in TYPED_PROPERTIES else ["number", "text", "flag"]
            return float(len({(kind_of(value), value) for _, value in given if kind_of(value) in kinds}))
        if function in ("sum", "avg"):
            kind = "number"
        else:
            typed = TYPED_PROPERTIES[name].kind if name in TYPED_PROPERTIES else None
            kind = typed or rule.get("kind") or ("number" if function in ("min", "max") else "text")
        pairs = [(ts, read(value, kind)) for ts, value in given]
        pairs = [(ts, value) for ts, value in pairs if value is not MISSING]
        values = [value for _, value in pairs]
        if function == "sum":
            return round(sum(values), 6)
        if not values:
            return MISSING
        return {
            "avg": lambda: round(sum(values) / len(values), 6),
            "min": lambda: min(values),
            "max": lambda: max(values),
            "first": lambda: min(pairs)[1],
            "last": lambda: max(pairs)[1],
            "unique_list": lambda: sorted(set(values)),
            "most_frequent": lambda: min(Counter(values).items(), key=lambda item: (-item[1], item[0]))[0],
        }[function]()

    def counts(self, event: dict[str, Any], rule: Any) -> bool:
        """Whether an event lies in the window of a rule and has the properties that it asks for."""
        ts = event["ts"]
        within = rule.get("within")
        if within is not None:
            if re.fullmatch(r"\d+[smhdw]", within):
                if ts < self.now - span(within):
                    return False
            elif within not in periods(ts, self.now, self.zone):
                return False
        for operator in ("before", "after", "between"):
            if operator in rule and not self.time(ts, operator, rule[operator], self.zone):
                return False
        return "where" not in rule or self.where(event, rule["where"])

    def where(self, event: dict[str, Any], rule: Any) -> bool:
        if isinstance(rule, list):
            return all(self.where(event, part) for part in rule)
        if "conditions" in rule:
            parts = [self.where(event, part) for part in rule["conditions"]]
            operator = rule.get("operator", "AND").upper()
            return any(parts) if operator == "OR" else all(parts) if operator == "AND" else not all(parts)
        typed = TYPED_PROPERTIES.get(rule["field"])
        value = event["properties"].get(rule["field"], MISSING)
        return self.test(value, rule, typed.kind if typed else None)

    def went_through(self, person: dict[str, Any], rule: Any) -> bool:
        """Tries every choice of events for the positive steps."""
        steps = rule["sequence"]
        events = self.events(person, None)
        within = span(rule["within"]) if "within" in rule else None

        def can(event: dict[str, Any], step: Any) -> bool:
            return matches(event, step["event"]) and ("where" not in step or self.where(event, step["where"]))

        positive = [number for number, step in enumerate(steps) if not step.get("negate")]
        candidates = [[event["ts"] for event in events if can(event, steps[number])] for number in positive]
        for times in product(*candidates):
            if "lookback" in rule and times[0] < self.now - span(rule["lookback"]):
                continue
            if within is not None and times[-1] - times[0] > within:
                continue
            at = dict(zip(positive, times, strict=True))
            if all(
                self._step_fits(steps, number, at, [e["ts"] for e in events if can(e, steps[number])], within)
                for number in range(1, len(steps))
            ):
                return True
        return False

    def _step_fits(
        self, steps: Any, number: int, at: dict[int, int], candidates: list[int], within: int | None
    ) -> bool:
        step = steps[number]
        before = at[max(n for n in at if n < number)]
        gap = span(step["after"]) if "after" in step else None
        if not step.get("negate"):
            return at[number] > before and (gap is None or at[number] - before <= gap)
        following = [at[n] for n in at if n > number]
        if following:
            return not any(before < ts < min(following) and (gap is None or ts <= before + gap) for ts in candidates)
        end = before + (within if gap is None else gap)
        return end <= self.now and not any(before < ts <= end for ts in candidates)


def matches(event: dict[str, Any], name: str) -> bool:
    known = name.upper()
    return event["type"] == known if known in ("PURCHASE", "EMAIL_OPEN") else event["event"] == name


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number"
    return "list" if isinstance(value, list) else "text"


def read(value: Any, kind: str) -> Any:
    """`value` as `kind`, or MISSING: types never convert, only a text that is a time is one."""
    if value is MISSING:
        return MISSING
    if kind == "time":
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        found = edges(value, "UTC") if isinstance(value, str) else None
        return MISSING if found is None else found[0]
    return value if kind_of(value) == kind else MISSING


def span(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def edges(text: str, zone: str) -> tuple[int, int] | None:
    """First and one past the last microsecond of an ISO date or time; None for another text."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text)
            return start_of(day, zone), start_of(day + timedelta(days=1), zone)
        if not re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", text):
            return None
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    us = (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))) - EPOCH
    return us // timedelta(microseconds=1), us // timedelta(microseconds=1) + 1


def start_of(day: date, zone: str) -> int:
    return (datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)) - EPOCH) // timedelta(microseconds=1)


def periods(ts: int, now: int, zone: str) -> set[str]:
    """The calendar periods around `now` that `ts` lies in, from the two local dates alone."""
    then, today = ((EPOCH + timedelta(microseconds=us)).astimezone(ZoneInfo(zone)).date() for us in (ts, now))
    monday, this_monday = (day - timedelta(days=day.weekday()) for day in (then, today))
    month, this_month = (day.year * 12 + day.month for day in (then, today))
    quarter, this_quarter = ((day.year * 12 + day.month - 1) // 3 for day in (then, today))
    distances = {
        "day": (today - then).days,
        "week": (this_monday - monday).days // 7,
        "month": this_month - month,
        "quarter": this_quarter - quarter,
        "year": today.year - then.year,
    }
    names = {f"{'this' if ago == 0 else 'last'}_{unit}" for unit, ago in distances.items() if ago in (0, 1)}
    return {{"this_day": "today", "last_day": "yesterday"}.get(name, name) for name in names}
