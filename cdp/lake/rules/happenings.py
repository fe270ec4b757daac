"""Conditions on what people did: events, counted or added up, and sequences of them."""

from collections.abc import Mapping

from cdp.lake.rules.catalogue import Catalogue
from cdp.lake.rules.errors import RuleError, instead, only_keys, shown
from cdp.lake.rules.groups import Connective, Count, read_tree
from cdp.lake.rules.literals import (
    as_kind,
    checked_text,
    read_bounds,
    read_operator,
    read_scalar,
    read_span,
    read_test,
)
from cdp.lake.rules.moments import PERIODS, span_of
from cdp.lake.rules.operators import FUNCTIONS, function_of
from cdp.lake.rules.tree import Aggregate, Happened, Match, Property, Sequence, Source, Step, Test, Where, Window

MAX_STEPS = 10
MAX_NAME = 200
_TESTABLE = {
    "min": ("number", "time", "text"), "max": ("number", "time", "text"),
    "first": ("number", "text", "flag", "time"), "last": ("number", "text", "flag", "time"),
    "most_frequent": ("number", "text", "flag", "time"), "unique_list": ("text",),
    "sum": ("number",), "avg": ("number",), "distinct": ("number", "text", "flag", "time", "any"),
}  # fmt: skip
_OF_ANY_KIND = ("min", "max", "first", "last", "most_frequent")
_EVENT_KEYS = ("event", "where", "aggregate", "property", "kind", "operator", "value", "within", "before", "after",
               "between")  # fmt: skip


class Happenings:
    """Reads them. `count` counts the conditions of the whole rule."""

    def __init__(self, catalogue: Catalogue, count: Count) -> None:
        self._catalogue = catalogue
        self._count = count

    def event(self, node: Mapping[str, object], path: str, depth: int) -> Happened:
        """An event leaf; without an operator it asks whether it happened. Raises RuleError."""
        only_keys(node, _EVENT_KEYS, path)
        function = _function(node, path)
        _refuse_kind(node, path, function)
        if "operator" not in node and "value" not in node and "aggregate" not in node:
            return Happened(self._aggregate(node, path, depth, "count", None), Test(">=", "number", 1.0))
        if function in ("count", "sum", "avg", "distinct"):
            test = read_test(node, path, name=f"the {function} of the events", kind="number")
            return Happened(self._aggregate(node, path, depth, function, None), test)
        kind = self._kind(node, path, function)
        if function == "unique_list":
            test = read_test(node, path, name=f"the {function} of the events", kind="list")
        else:
            test = read_test(node, path, name=f"the {function} of the events", kind=kind)
            if test.kind in ("list", "any"):  # a test of presence, or `contains` on what no catalogue knows
                usual = "number" if function in ("min", "max") and test.value is None else "text"
                test = Test(test.operator, as_kind(usual), test.value)
            kind = test.kind
        return Happened(self._aggregate(node, path, depth, function, kind), test)

    def aggregate(self, node: Mapping[str, object], path: str) -> Aggregate:
        """What a computed trait is: an event leaf without operator and value. Raises RuleError."""
        only_keys(node, [key for key in _EVENT_KEYS if key not in ("operator", "value")], path)
        function = _function(node, path)
        _refuse_kind(node, path, function)
        return self._aggregate(node, path, 1, function, self._kind(node, path, function))

    def sequence(self, node: Mapping[str, object], path: str, depth: int) -> Sequence:
        """A sequence leaf. Raises RuleError."""
        only_keys(node, ("sequence", "within", "lookback"), path)
        steps, at = node["sequence"], f"{path}.sequence"
        if not isinstance(steps, list) or not 2 <= len(steps) <= MAX_STEPS:
            raise RuleError(at, f"A sequence is a list of 2 to {MAX_STEPS} steps.")
        read = tuple(self._step(step, f"{at}[{index}]", depth) for index, step in enumerate(steps))
        within = read_span(node["within"], f"{path}.within") if "within" in node else None
        lookback = read_span(node["lookback"], f"{path}.lookback") if "lookback" in node else None
        if read[0].negate:
            raise RuleError(f"{at}[0].negate", "The first step must have happened: only later ones can be negated.")
        if read[0].after is not None:
            raise RuleError(f"{at}[0].after", "There is no step before the first. To limit its age use 'lookback'.")
        for index in range(len(read) - 1, 0, -1):
            if not read[index].negate:
                break
            if read[index].after is None and within is None:
                raise RuleError(
                    f"{at}[{index}].after", "How long must it not have happened? Give the step 'after', such as \"1d\"."
                )
        return Sequence(read, within, lookback)

    def _step(self, step: object, path: str, depth: int) -> Step:
        if not isinstance(step, dict) or "event" not in step:
            raise RuleError(path, 'A step is an object such as {"event": "purchase"}.')
        self._count.one_more(path)
        only_keys(step, ("event", "where", "negate", "after"), path)
        negate = step.get("negate", False)
        if not isinstance(negate, bool):
            raise RuleError(f"{path}.negate", "'negate' is true or false.")
        after = read_span(step["after"], f"{path}.after") if "after" in step else None
        return Step(self._match(step, path), self._where(step, path, depth), negate, after)

    def _match(self, node: Mapping[str, object], path: str) -> Match:
        name = node["event"]
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
            raise RuleError(f"{path}.event", f"'event' is the name of an event, up to {MAX_NAME} characters.")
        name = checked_text(name.strip(), f"{path}.event")
        known = name.upper().replace(" ", "_")
        return Match(known.lower(), known) if known in self._catalogue.types else Match(name)

    def _aggregate(
        self, node: Mapping[str, object], path: str, depth: int, function: str, kind: str | None
    ) -> Aggregate:
        return Aggregate(
            match=self._match(node, path),
            function=function,
            source=self._source(node, path, function, kind),
            where=self._where(node, path, depth),
            window=_window(node, path),
        )

    def _source(self, node: Mapping[str, object], path: str, function: str, kind: str | None) -> Source | None:
        name = node.get("property")
        if function == "count":
            if name is not None:
                raise RuleError(f"{path}.property", "'count' counts events: leave 'property' out, or use 'distinct'.")
            return None
        if not isinstance(name, str) or not name or len(name) > MAX_NAME:
            raise RuleError(f"{path}.property", f"{function!r} needs the 'property' that it reads.")
        name = _property_name(checked_text(name, f"{path}.property"))
        typed = self._catalogue.properties.get(name)
        if function in ("sum", "avg"):
            kind = "number"
        elif function == "distinct":
            kind = typed.kind if typed else "any"
        wanted = kind or (typed.kind if typed else "text")
        as_time = typed is not None and typed.kind == "text" and wanted == "time"
        if (typed and wanted not in (typed.kind, "any") and not as_time) or wanted not in _TESTABLE[function]:
            has = typed.kind if typed else wanted
            raise RuleError(f"{path}.property", f"{name!r} holds a {has}, of which there is no {function!r}.")
        return Source(name, as_kind(wanted), typed.column if typed else None)

    def _kind(self, node: Mapping[str, object], path: str, function: str) -> str | None:
        """The kind of the property that an aggregate gives back, as far as catalogue or rule say it."""
        given, name = node.get("kind"), node.get("property")
        if given is not None and given not in ("number", "text", "flag", "time"):
            raise RuleError(f"{path}.kind", f"{shown(given)} is no kind of value: number, text, flag or time is.")
        typed = self._catalogue.properties.get(_property_name(name)) if isinstance(name, str) else None
        if typed is not None:
            if given not in (None, typed.kind):
                raise RuleError(f"{path}.kind", f"{name!r} holds a {typed.kind}: leave 'kind' out.")
            return typed.kind
        if given is not None:
            return str(given)
        if function == "unique_list":
            return "text"
        if "operator" not in node:
            return "number" if function in ("min", "max") else "text"
        read_operator(node, path)
        return None

    def _where(self, node: Mapping[str, object], path: str, depth: int) -> Where | Property | None:
        given = node.get("where")
        if given is None:
            return None

        def group(connective: Connective, parts: "tuple[Where | Property, ...]") -> Where | Property:
            return Where(connective, parts)

        return read_tree(given, f"{path}.where", depth=depth + 1, count=self._count, leaf=self._property, group=group)

    def _property(self, node: Mapping[str, object], path: str, _depth: int) -> Where | Property:
        only_keys(node, ("field", "property", "operator", "value"), path)
        name = node.get("field", node.get("property"))
        if not isinstance(name, str) or not name or len(name) > MAX_NAME:
            raise RuleError(f"{path}.field", "'field' is the name of a property of the event.")
        name = _property_name(checked_text(name, f"{path}.field"))
        typed = self._catalogue.properties.get(name)
        test = read_test(node, path, name=name, kind=typed.kind if typed else None)
        return Property(name, test, typed.column if typed else None)


def _property_name(name: str) -> str:
    return name.removeprefix("properties.") or name


def _refuse_kind(node: Mapping[str, object], path: str, function: str) -> None:
    if "kind" in node and function not in _OF_ANY_KIND:
        raise RuleError(f"{path}.kind", f"'kind' is for {', '.join(_OF_ANY_KIND)}: leave it out for {function!r}.")


def _function(node: Mapping[str, object], path: str) -> str:
    given = node.get("aggregate", "count")
    found = function_of(given) if isinstance(given, str) else None
    if found is None:
        hint = instead(given, FUNCTIONS) if isinstance(given, str) else f"There are: {', '.join(FUNCTIONS)}."
        raise RuleError(f"{path}.aggregate", f"{shown(given)} is no aggregate. {hint}")
    return found


def _window(node: Mapping[str, object], path: str) -> Window:
    within, period = None, None
    if "within" in node:
        given = node["within"]
        period = given.strip().lower().replace(" ", "_") if isinstance(given, str) else None
        if period not in PERIODS:
            period = None
            if isinstance(given, str) and span_of(given) is None:
                raise RuleError(
                    f"{path}.within",
                    f'{shown(given)} is neither a span such as "30d" nor a period. {instead(given, PERIODS)}',
                )
            within = read_span(given, f"{path}.within")
    tests = [
        Test(operator, "time", read_scalar(node[operator], f"{path}.{operator}", "time"))
        for operator in ("after", "before")
        if operator in node
    ]
    if "between" in node:
        tests.append(Test("between", "time", read_bounds(node["between"], f"{path}.between", "time")))
    return Window(within, period, tuple(tests))
