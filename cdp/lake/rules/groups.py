"""AND, OR and NOT around any kind of condition, and the limits on how many and how deep."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeVar, cast

import msgspec

from cdp.lake.rules.errors import RuleError, instead, only_keys, shown
from cdp.lake.rules.operators import connective_of

MAX_DEPTH = 10
MAX_CONDITIONS = 200
_Node = TypeVar("_Node")


class Count(msgspec.Struct):
    """The conditions of a rule so far."""

    conditions: int = 0

    def one_more(self, path: str) -> None:
        """Raises RuleError when there are too many."""
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise TooManyError(path, f"The rule has more than {MAX_CONDITIONS} conditions. Split it into segments.")


class TooManyError(RuleError):
    """No use in reading on."""


Connective = Literal["AND", "OR", "NOT"]


def read_tree(
    node: object,
    path: str,
    *,
    depth: int,
    count: Count,
    leaf: Callable[[Mapping[str, object], str, int], _Node],
    group: Callable[[Connective, tuple[_Node, ...]], _Node],
) -> _Node:
    """A group, a list (AND) or a condition, which `leaf` reads. Raises RuleError with all problems of a group."""
    if isinstance(node, list):
        node, listed = {"conditions": node}, True
    else:
        listed = False
    if not isinstance(node, dict):
        raise RuleError(path, f'{shown(node)} is no condition: an object such as {{"field": …}} is.')
    if any(not isinstance(key, str) for key in node):
        raise RuleError(path, "The keys of a condition are texts.")
    if "conditions" not in node or "event" in node:
        count.one_more(path)
        return leaf(node, path, depth)
    if depth > MAX_DEPTH:
        raise RuleError(path, f"Groups are nested more than {MAX_DEPTH} deep. Split the rule into segments.")
    only_keys(node, ("operator", "conditions"), path)
    inside, parts, errors = path if listed else f"{path}.conditions", [], []
    for index, condition in enumerate(_conditions(node["conditions"], inside)):
        try:
            parts.append(
                read_tree(condition, f"{inside}[{index}]", depth=depth + 1, count=count, leaf=leaf, group=group)
            )
        except TooManyError:
            raise
        except RuleError as error:
            errors.append(error)
    try:
        connective = _connective(node.get("operator", "AND"), path)
    except RuleError as error:
        errors.insert(0, error)
    if errors:
        raise RuleError.together(errors)
    return group(connective, tuple(parts))


def _connective(given: object, path: str) -> Connective:
    found = connective_of(given) if isinstance(given, str) else None
    if found is None:
        hint = instead(given.upper(), ("AND", "OR", "NOT")) if isinstance(given, str) else "There are: AND, NOT, OR."
        raise RuleError(f"{path}.operator", f"{shown(given)} does not connect conditions. {hint}")
    return cast("Connective", found)


def _conditions(given: object, path: str) -> list[object]:
    if not isinstance(given, list):
        raise RuleError(path, "'conditions' is a list of conditions.")
    if not given:
        raise RuleError(path, "There is no condition: give at least one.")
    if len(given) > MAX_CONDITIONS:
        raise TooManyError(path, f"{len(given)} conditions; at most {MAX_CONDITIONS} are allowed.")
    return given
