"""The gate of ingestion: which messages a person's consent lets through, and what becomes of the others (C2).

Pure but for `GATE_SQL`, which is read with the other configuration of a micro-batch. What a person allows comes from
`cdp.consents.standing`, what a message itself says about consent from `cdp.consents.carried`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cdp.core.json import decode


@dataclass(frozen=True, slots=True)
class Rule:
    """Messages that are for a purpose. An empty set is for all; `trusted` None is for both kinds of source."""

    purpose: str
    calls: frozenset[str]
    names: frozenset[str]
    trusted: bool | None
    redact: bool

    def is_for(self, call: str, name: str, *, trusted: bool) -> bool:
        """Whether a message is one of them."""
        return (
            (self.trusted is None or self.trusted is trusted)
            and (not self.calls or call in self.calls)
            and (not self.names or name in self.names)
        )


@dataclass(frozen=True, slots=True)
class Gate:
    """The active rules (`drop` first, then in their order), the purposes, and the names that stand for several.

    `unknown` says of each purpose whether it is allowed while nothing is known. `categories` are the names (as `folded`
    gives them) under which a message may speak of purposes, from the widest to the most exact.
    """

    rules: tuple[Rule, ...]
    unknown: Mapping[str, bool]
    categories: tuple[Mapping[str, tuple[str, ...]], ...]
    sharing: tuple[str, ...]
    suppressing: bool
    """Whether any identifier is suppressed: otherwise nobody needs to look."""


SHARING = "sharing"
"""The group of purposes that Global Privacy Control withdraws."""


Allows = Callable[[str], bool | None]
"""Whether a purpose is granted to somebody; None when nothing is known of it."""


class Judge:
    """Judges calls by the rules of a gate; remembers which rules are for which calls."""

    def __init__(self, base: Gate) -> None:
        self._base = base
        self._rules: dict[tuple[str, str, bool], tuple[Rule, ...]] = {}
        self._of_unknown: dict[tuple[str, str, bool], Rule | None] = {}

    def rule(self, allows: Allows, *, call: str, name: str, trusted: bool) -> Rule | None:
        """The rule that stops a message of somebody who `allows` so much; None lets it through.

        A rule that drops decides before one that redacts; of several the first.
        """
        for rule in self._rules_for((call, name, trusted)):
            said = allows(rule.purpose)
            if not (self._base.unknown.get(rule.purpose, False) if said is None else said):
                return rule
        return None

    def rule_of_unknown(self, *, call: str, name: str, trusted: bool) -> Rule | None:
        """`rule` for people of whom nothing is known."""
        key = call, name, trusted
        if key not in self._of_unknown:
            self._of_unknown[key] = self.rule(lambda _: None, call=call, name=name, trusted=trusted)
        return self._of_unknown[key]

    def purposes(self, calls: Iterable[tuple[str, str, bool]]) -> set[str]:
        """What the rules for such calls (call, name, trusted) ask for."""
        return {rule.purpose for key in calls for rule in self._rules_for(key)}

    def _rules_for(self, key: tuple[str, str, bool]) -> tuple[Rule, ...]:
        found = self._rules.get(key)
        if found is None:
            call, name, trusted = key
            found = tuple(rule for rule in self._base.rules if rule.is_for(call, name, trusted=trusted))
            self._rules[key] = found
        return found


# A line break separates the parts of a text: no code, group or JSON has one.
GATE_SQL = """
    select 'gate', id, purpose_id || '
' || source_kind || '
' || cast(calls as text) || '
' || cast(names as text), 0, 0, 0, action = 'redact', false, false from consents_gaterule where active
    union all
    select 'purpose', position, code || '
' || "group" || '
' || cast(also_called as text) || '
' || name, 0, 0, 0, unknown = 'allow', false, false from consents_purpose
    union all
    select 'suppressing', count(*), '', 0, 0, 0, false, false, false
    from (select 1 from identities_suppressedidentifier where lifted_at is null limit 1) s"""
"""A SELECT in the shape of `cdp.identities.rules.RULES_SQL`."""


def gate_of(rows: Iterable[tuple[Any, ...]]) -> Gate:
    """The gate in rows of `GATE_SQL`; rows of another part are passed over."""
    rules: list[tuple[bool, int, Rule]] = []
    unknown: dict[str, bool] = {}
    codes: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    aliases: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    suppressing = False
    for part, number, text, _, _, _, flag, _, _ in rows:
        if part == "gate":
            purpose, kind, calls, events = text.split("\n", 3)
            trusted = None if not kind else kind == "server"
            rule = Rule(purpose, frozenset(decode(calls)), frozenset(decode(events)), trusted, bool(flag))
            rules.append((rule.redact, number, rule))
        elif part == "purpose":
            code, group, also_called, name = text.split("\n", 3)
            unknown[code] = bool(flag)
            others = ((aliases, word) for word in decode(also_called))
            for place, word in ((codes, code), (groups, group), (names, name), *others):
                if folded(word):
                    place.setdefault(folded(word), []).append(code)
        elif part == "suppressing":
            suppressing = bool(number)
    return Gate(
        rules=tuple(rule for _, _, rule in sorted(rules, key=lambda one: one[:2])),
        unknown=unknown,
        categories=tuple(
            {word: tuple(found) for word, found in place.items()} for place in (groups, aliases, names, codes)
        ),
        sharing=tuple(groups.get(SHARING, ())),
        suppressing=suppressing,
    )


def folded(word: str) -> str:
    """How names of categories are compared: without case, and blanks, dashes and underscores are one."""
    return "_".join(word.casefold().replace("-", " ").replace("_", " ").split())
