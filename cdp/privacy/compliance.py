"""The compliance score: from 0 to 100, the sum of eight parts, each a share of its weight.

The definition is published in docs/compliance.md; the texts here say the same of what was found.
"""

from collections.abc import Callable, Sequence

import msgspec

from cdp.core.clock import HOUR
from cdp.privacy.compliance_facts import Facts

AUDIT_WITHIN = 48 * HOUR
FEW = 3
"""So many users and keys may all see personal data: somebody must."""


class Part(msgspec.Struct, frozen=True, rename="camel"):
    """A part of the score: `points` of its `weight`, and what was found in words."""

    key: str
    name: str
    weight: int
    points: float
    found: str
    measure: str

    @property
    def full(self) -> bool:
        """Whether nothing is missing."""
        return self.points == self.weight


class Score(msgspec.Struct, frozen=True, rename="camel"):
    """The score and its parts."""

    score: int
    parts: list[Part]


def score(found: Facts) -> Score:
    """What `found` comes to. Points (to tenths) and score are rounded down: only what is complete gives 100."""
    parts = [
        Part(key, name, weight, _points(weight, share), said, measure)
        for key, name, weight, measure, judge in _PARTS
        for share, said in [judge(found)]
    ]
    return Score(int(sum(part.points for part in parts) + 1e-6), parts)


def _points(weight: int, share: float) -> float:
    return int(weight * max(0.0, min(1.0, share)) * 10 + 1e-6) / 10


Judgement = tuple[float, str]


def _in_time(found: Facts) -> Judgement:
    if not found.answered:
        return 1.0, "No request was answered in the last 365 days."
    in_time = found.answered - found.answered_late
    return in_time / found.answered, f"{in_time} of {found.answered} requests were answered in time."


def _deadlines(found: Facts) -> Judgement:
    if not found.open:
        return 1.0, "No request is open."
    if found.overdue:
        return 1 - found.overdue / found.open, f"Overdue: {found.overdue} of {found.open} open requests."
    soon = f", {found.open_soon} of them due within 7 days" if found.open_soon else ""
    return 1.0, f"Open requests: {found.open}{soon}; none is overdue."


def _consents(found: Facts) -> Judgement:
    if not found.people:
        return 1.0, "There are no people yet."
    said = f"The consent ledger knows something of {found.people_with_consents:,} of {found.people:,} people."
    return found.people_with_consents / found.people, said


def _classified(found: Facts) -> Judgement:
    if found.keys_unclassified is None:
        return 0.0, "The history could not be read, so it is not known which traits people have."
    total = found.keys_classified + found.keys_unclassified
    if not total:
        return 1.0, "There are no traits yet."
    said = f"{found.keys_classified} of {total} trait keys are classified in the catalogue."
    return found.keys_classified / total, said


def _retention(found: Facts) -> Judgement:
    names = {"events": "events", "profiles": "profiles without activity", "logs": "request logs"}
    missing = [name for key, name in names.items() if key not in (*found.retained, *found.retention_problems)]
    parts = []
    if found.retention_problems:
        parts.append(f"The policy for {_listed([names[key] for key in found.retention_problems])} did not run.")
    if missing:
        parts.append(f"No active policy for {_listed(missing)}.")
    said = " ".join(parts) or "Policies for events, profiles and logs are active and run."
    return len(found.retained) / len(names), said


def _audit(found: Facts) -> Judgement:
    if found.audit_problem:
        return 0.0, f"The audit does not verify: {found.audit_problem}"
    if found.audit_verified_at is None:
        return (0.0, "The audit was never verified.") if found.audit_entries else (1.0, "The audit is empty.")
    hours = (found.now - found.audit_verified_at) // HOUR
    if found.now - found.audit_verified_at > AUDIT_WITHIN:
        return 0.0, f"The audit was last verified {hours // 24} days ago."
    return 1.0, f"{found.audit_rows:,} entries were verified {hours} hours ago, without a problem."


def _erasures(found: Facts) -> Judgement:
    if not found.erasures:
        return 1.0, "Nobody was erased in the last 365 days."
    said = f"{found.erasures_proven} of {found.erasures} erasures are complete and have a signed receipt."
    return found.erasures_proven / found.erasures, said


def _access(found: Facts) -> Judgement:
    total, clear = found.users + found.keys, found.users_clear + found.keys_clear
    said = f"{found.users_clear} of {found.users} users and {found.keys_clear} of {found.keys} keys see personal data."
    return (1.0 if total <= FEW else 2 * (total - clear) / total), said


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


_PARTS: tuple[tuple[str, str, int, str, Callable[[Facts], Judgement]], ...] = (
    ("in-time", "Requests answered in time", 20,
     "share of the requests that ended in the last 365 days and had not passed their deadline", _in_time),
    ("deadlines", "Open requests within their deadline", 15, "share of the open requests that are not overdue",
     _deadlines),
    ("classification", "Traits classified", 15,
     "share of the trait keys, in the catalogue or in use, that the catalogue classifies", _classified),
    ("retention", "Retention policies run", 15,
     "a third each for events, profiles and logs with an active policy that ran within three days", _retention),
    ("consent", "Consent known", 10, "share of the people of whom the consent ledger knows something", _consents),
    ("audit", "Audit verified", 10, "verified within 48 hours, without a problem", _audit),
    ("erasures", "Erasures proven", 10,
     "share of the erasures of the last 365 days that are complete and have a receipt", _erasures),
    ("access", "Personal data for few", 5,
     "full from half of the users and keys on that see no personal data, or up to three of them", _access),
)  # fmt: skip
assert sum(part[2] for part in _PARTS) == 100
