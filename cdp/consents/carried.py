"""What a message itself says about consent: Global Privacy Control and Segment's category preferences (C3)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from cdp.consents.gate import Gate, folded

GPC, PREFERENCES = "gpc", "preferences"
CARRIED = (GPC, PREFERENCES)
"""The causes of ledger rows that an event carried."""
MOST_CATEGORIES = 100


class Carried(NamedTuple):
    """One purpose, granted or withdrawn, and what said so (the cause of its ledger row)."""

    purpose: str
    granted: bool
    cause: str


def statements_of(base: Gate, context: Mapping[str, Any], *, privacy_control: bool) -> tuple[list[Carried], bool]:
    """What a message says: of each purpose at most one statement; and whether it named a category nobody knows.

    `context.consent.categoryPreferences` maps categories to true or false. A category is a purpose's code, its name,
    another name of one or several purposes, or a group; the more exact one decides, in this order, and of two that are
    equally exact the withdrawal. Privacy control (`Sec-GPC: 1`) asks that data be neither sold nor shared: it withdraws
    the purposes of the group `sharing`, whatever the preferences say. It does not speak of what an installation does
    for itself.
    """
    preferences = _preferences(context)
    if not preferences and not privacy_control:
        return [], False
    found: dict[str, Carried] = {}
    strange = False
    if preferences:
        strange = len(preferences) > MOST_CATEGORIES
        given = dict(list(preferences.items())[:MOST_CATEGORIES])
        words = {folded(word): granted for word, granted in given.items() if isinstance(granted, bool)}
        strange = strange or len(words) < len(given)
        known = set()
        for names in base.categories:
            level: dict[str, bool] = {}
            for word in words.keys() & names.keys():
                known.add(word)
                for purpose in names[word]:
                    level[purpose] = level.get(purpose, True) and words[word]
            found.update({p: Carried(p, granted, PREFERENCES) for p, granted in level.items()})
        strange = strange or len(known) < len(words)
    if privacy_control:
        found.update({purpose: Carried(purpose, granted=False, cause=GPC) for purpose in base.sharing})
    return [found[purpose] for purpose in sorted(found)], strange


def speaks_of_consent(context: Mapping[str, Any]) -> bool:
    """Whether a message has preferences in its context."""
    return "consent" in context


def _preferences(context: Mapping[str, Any]) -> dict[str, Any]:
    consent = context.get("consent")
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    return preferences if isinstance(preferences, dict) else {}
