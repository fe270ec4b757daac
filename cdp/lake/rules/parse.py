"""Rules from JSON: read, checked, and typed by the catalogue.

Accepted are the whole language of docs/rules.md, the groups of 003 and the flat list of 002, and every operator in
the spelling of either. What is wrong is said with its path in the JSON and with what would be right.
"""

from collections.abc import Mapping

from cdp.lake.measures import MEASURES
from cdp.lake.rules.catalogue import Catalogue
from cdp.lake.rules.errors import RuleError, instead, only_keys, shown
from cdp.lake.rules.groups import Connective, Count, read_tree
from cdp.lake.rules.happenings import Happenings
from cdp.lake.rules.literals import MAX_VALUES, checked_text, kind_of_scalar, read_operator, read_scalar, read_test
from cdp.lake.rules.tree import (
    Aggregate,
    Consent,
    Field,
    Group,
    Happened,
    Leaf,
    Measured,
    Member,
    Personal,
    PersonalLeaf,
    Rule,
    Trait,
)

__all__ = ["Catalogue", "RuleError", "parse", "parse_aggregate"]

MAX_KEY = 200
FIELDS = {"createdAt": "time"}
"""Facts of the profile row that `field` may name, and their kinds."""
_LEAVES = ("field", "trait", "computed", "consent", "segment", "event", "sequence")


def parse(rule: object, catalogue: Catalogue) -> Rule:
    """The rule as a tree. `rule` is JSON: a group, a list of conditions (all must hold) or one condition.

    Raises RuleError, which names every problem found.
    """
    count = Count()
    return read_tree(rule, "$", depth=1, count=count, leaf=_Reader(catalogue, count).leaf, group=_group)


def parse_aggregate(node: object, catalogue: Catalogue) -> Aggregate:
    """What a computed trait computes: an event condition without operator and value. Raises RuleError."""
    if not isinstance(node, dict) or "event" not in node:
        raise RuleError("$", 'An object such as {"event": "purchase", "aggregate": "count"} is needed.')
    return Happenings(catalogue, Count()).aggregate(node, "$")


def _group(connective: Connective, parts: tuple[Rule, ...]) -> Rule:
    return Group(connective, parts)


class _Reader:
    """Reads the conditions on people; those on events are read by `Happenings`."""

    def __init__(self, catalogue: Catalogue, count: Count) -> None:
        self._catalogue = catalogue
        self._happenings = Happenings(catalogue, count)

    def leaf(self, node: Mapping[str, object], path: str, depth: int) -> Rule:
        named = [key for key in _LEAVES if key in node]
        if not named:
            given = next(iter(node), "")
            raise RuleError(path, f"A condition names one of {', '.join(_LEAVES)}. {instead(given, _LEAVES)}")
        if len(named) > 1:
            raise RuleError(path, f"One condition asks one thing, not {' and '.join(named)}. Make a group of them.")
        if named[0] == "event":
            return self._happenings.event(node, path, depth)
        if named[0] == "sequence":
            return self._happenings.sequence(node, path, depth)
        if named[0] == "consent":
            return self._consent(node, path)
        if named[0] == "segment":
            return self._member(node, path)
        return self._valued(named[0], node, path)

    def _valued(self, key: str, node: Mapping[str, object], path: str) -> Leaf:
        """A condition on one value of the person: `field`, `trait` or `computed`."""
        only_keys(node, (key, "operator", "value"), path)
        name = node[key]
        at = f"{path}.{key}"
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_KEY:
            raise RuleError(at, f"{key!r} is a name of up to {MAX_KEY} characters.")
        name = checked_text(name.strip(), at)
        if key == "field":
            key, name = _field_of_profile(name)
        if self._is_personal(name, node):
            return _personal(name, node, path)
        if key != "trait" and (leaf := self._computed(name, node, path)) is not None:
            return leaf
        if key == "field" and name in FIELDS:
            return Field(name, read_test(node, path, name=name, kind=FIELDS[name]))
        if key == "computed" and name not in self._catalogue.traits:
            names = {*MEASURES, *self._catalogue.computed}
            raise RuleError(at, f"{shown(name)} is no measure and no computed trait. {instead(name, names)}")
        return Trait(name, read_test(node, path, name=name, kind=self._catalogue.traits.get(name)))

    def _computed(self, name: str, node: Mapping[str, object], path: str) -> Leaf | None:
        if name in MEASURES:
            return Measured(name, read_test(node, path, name=name, kind=MEASURES[name].kind, computed=True))
        aggregate = self._catalogue.computed.get(name)
        if aggregate is None:
            return None
        return Happened(aggregate, read_test(node, path, name=name, kind=aggregate.kind, computed=True), name)

    def _is_personal(self, name: str, node: Mapping[str, object]) -> bool:
        if name in self._catalogue.personal:
            return True
        value = node.get("value")
        values = value if isinstance(value, list) else [value]
        return any(self._catalogue.looks_personal(name, one) for one in values[:MAX_VALUES])

    def _consent(self, node: Mapping[str, object], path: str) -> Consent:
        only_keys(node, ("consent", "granted"), path)
        given = node["consent"]
        if not isinstance(given, str) or not given.strip() or len(given) > MAX_KEY:
            raise RuleError(f"{path}.consent", "'consent' is a type of consent, such as \"MARKETING_EMAIL\".")
        known = self._catalogue.consents
        name = given.strip() if given.strip() in known else given.strip().upper()
        if known and name not in known:
            raise RuleError(f"{path}.consent", f"{shown(given)} is no type of consent. {instead(name, known)}")
        return Consent(checked_text(name, f"{path}.consent"), _truth(node, "granted", path))

    def _member(self, node: Mapping[str, object], path: str) -> Member:
        only_keys(node, ("segment", "member"), path)
        key = node["segment"]
        if not isinstance(key, str) or key not in self._catalogue.segments:
            hint = instead(key, self._catalogue.segments) if isinstance(key, str) else "Give the key of a segment."
            raise RuleError(f"{path}.segment", f"There is no segment {shown(key)}. {hint}")
        circle = self._circle(key)
        if circle:
            raise RuleError(
                f"{path}.segment", f"Segments may not refer to each other in a circle: {' → '.join(circle)}."
            )
        return Member(key, _truth(node, "member", path))

    def _circle(self, key: str) -> list[str]:
        """The way from the segment that is being defined, over `key`, back to it; empty when there is none."""
        own = self._catalogue.own
        if own is None:
            return []
        ways, seen = [[own, key]], {key}
        while ways:
            way = ways.pop()
            if way[-1] == own:
                return way
            for following in sorted(self._catalogue.refers.get(way[-1], ())):
                if following not in seen:
                    seen.add(following)
                    ways.append([*way, following])
        return []


def _field_of_profile(name: str) -> tuple[str, str]:
    """003 writes parts of the profile document: `attributes.country`, `computed.ltv`."""
    for prefix, key in (("attributes.customFields.", "trait"), ("attributes.", "trait"), ("traits.", "trait"),
                        ("computed.", "computed")):  # fmt: skip
        if name.startswith(prefix) and len(name) > len(prefix):
            return key, name.removeprefix(prefix)
    return "field", name


def _personal(name: str, node: Mapping[str, object], path: str) -> Personal:
    operator = read_operator(node, path)
    if operator in ("exists", "not_exists"):
        test = read_test(node, path, name=name, kind=None)
        return Personal(PersonalLeaf(name, "exists"), holds=test.operator == "exists")
    if operator not in ("=", "in"):
        raise RuleError(
            f"{path}.operator", f"{name!r} is personal and kept encrypted: use =, in, exists or not_exists."
        )
    value = node.get("value")
    kind = kind_of_scalar(value[0] if isinstance(value, list) and value else value)
    test = read_test(node, path, name=name, kind=kind)
    values = test.value if isinstance(test.value, tuple) else (read_scalar(value, f"{path}.value", kind),)
    return Personal(PersonalLeaf(name, "=" if operator == "=" else "in", values))


def _truth(node: Mapping[str, object], key: str, path: str) -> bool:
    value = node.get(key, True)
    if not isinstance(value, bool):
        raise RuleError(f"{path}.{key}", f"{key!r} is true or false, not {shown(value)}.")
    return value
