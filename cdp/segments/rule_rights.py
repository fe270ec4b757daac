"""Which rules somebody may write and read: a rule tells who has a value, and holds values of people itself."""

from collections.abc import Iterator
from typing import Any

from cdp.access.rights import NOTHING, Rights, masked, roles_of
from cdp.core.errors import Forbidden
from cdp.lake.rules.facts import facts
from cdp.lake.rules.tree import Rule
from cdp.traits.catalogue import catalogue, classification_of

_NAMES = ("field", "trait", "property", "computed")
_WORDS = frozenset({*_NAMES, "operator", "aggregate", "event", "within", "consent", "segment"})


def require_sight(tree: Rule, rights: Rights) -> None:
    """That the holder sees every field that a rule asks about: otherwise its size would tell what they hold.

    Raises Forbidden naming the field.
    """
    known = facts(tree)
    restricted = catalogue().readers
    roles = roles_of(rights) if restricted else None
    for field in sorted({leaf.field for leaf in known.personal} | known.traits):
        hidden = roles is not None and field in restricted and not restricted[field] & roles
        if hidden or not rights.sees(field, classification_of(field)):
            raise Forbidden(f"You do not have the right to see `{field}`: a rule may not ask about it.")


def shown_rule(rule: Any, words: str, rights: Rights) -> tuple[Any, str]:
    """A rule and its words with the values masked in them that the holder has no right to."""
    hidden = {value: masked(value) for value in _protected(rule, rights)}
    if not hidden:
        return rule, words
    for value in sorted(hidden, key=lambda one: len(str(one)), reverse=True):
        words = words.replace(str(value), hidden[value])
    return _replaced(rule, hidden), words


def holds_protected(rule: Any) -> bool:
    """Whether a rule holds a value that not everybody may see: then reading it is recorded."""
    return next(_protected(rule, NOTHING), None) is not None


def _protected(rule: Any, rights: Rights) -> Iterator[Any]:
    """The values in a rule that the holder does not see: of a field that is not for them, or by their looks."""
    if isinstance(rule, list):
        for part in rule:
            yield from _protected(part, rights)
    if not isinstance(rule, dict):
        return
    field = next((rule[name] for name in _NAMES if isinstance(rule.get(name), str)), "")
    for name, part in rule.items():
        if isinstance(part, dict) or (isinstance(part, list) and any(isinstance(one, dict) for one in part)):
            yield from _protected(part, rights)
        elif name not in _WORDS:
            values = part if isinstance(part, list) else [part]
            yield from (
                one for one in values if one is not None and not rights.sees(field, classification_of(field, one))
            )


def _replaced(rule: Any, hidden: dict[Any, str]) -> Any:
    if isinstance(rule, dict):
        return {name: part if name in _WORDS else _replaced(part, hidden) for name, part in rule.items()}
    if isinstance(rule, list):
        return [_replaced(part, hidden) for part in rule]
    return hidden.get(rule, rule)
