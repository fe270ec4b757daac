"""The types of segments: the names of the seeds, and how each gets its members."""

from typing import Final

RULE: Final = "rule"
LIST: Final = "list"

TYPES: dict[str, str] = {
    "rule-based": RULE,
    "dynamic": RULE,
    "behavioral": RULE,
    "rfm": RULE,
    "predictive": RULE,
    "lifecycle": RULE,
    "manual": LIST,
    "static": LIST,
    "suppression": LIST,
    "lookalike": LIST,
}
"""Type → where its members come from: a rule that is followed, or a list of profiles that is written."""

CHOICES = [(name, name.capitalize() if name != "rfm" else "RFM") for name in TYPES]

_SYNONYMS = {
    "rule": "rule-based",
    "rules": "rule-based",
    "rulebased": "rule-based",
    "behavioural": "behavioral",
    "behaviour": "behavioral",
    "behavior": "behavioral",
    "predicted": "predictive",
    "list": "manual",
    "hand": "manual",
}


def segment_type(text: str) -> str | None:
    """The type that `text` names in the spelling of any seed (`RULE_BASED`, `Behavioural`, …), or None."""
    name = text.strip().lower().replace("_", "-").replace(" ", "-")
    name = _SYNONYMS.get(name.replace("-", ""), name)
    return name if name in TYPES else None
