"""The rules of identity as the resolver uses them: the rows of `IdentifierType` and `BlockedValue`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cdp.core.bulk import Database
from cdp.core.clock import DAY
from cdp.core.crypto import Keyring
from cdp.identities.normalise import is_filler, normalised

MERGE_CAP = 100
"""Merges per person in `MERGE_CAP_WINDOW` (rule 8)."""
MERGE_CAP_WINDOW = 30 * DAY
IDENTIFIER_CAP = 1000
"""Identifiers per person (rule 8)."""
JOIN_CAP = 20
"""People that one value may join within an hour (rule 3)."""
_PURPOSE = "identifier"


@dataclass(frozen=True, slots=True)
class Kind:
    """One identifier type. `window` is in microseconds of event time, None for ever; a lower `rank` is stronger."""

    id: int
    code: str
    rank: int
    limit: int
    window: int | None
    joins: bool
    browser_finds: bool
    verified_only: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """All types by code, and the values that are no identifiers."""

    kinds: dict[str, Kind]
    blocked: frozenset[str]
    region: str

    def kind(self, code: str) -> tuple[Kind, str]:
        """The type that `code` names and the namespace: an unknown name is a namespace of `external`."""
        found = self.kinds.get(code)
        if found is not None:
            return found, ""
        return self.kinds["external"], code.removeprefix("external:")[:100]

    def spelling(self, kind: Kind, value: str) -> str | None:
        """The normalised value, or None when it is blocked or cannot be one of this type."""
        text = normalised(kind.code, value, region=self.region)
        if text is None or is_filler(text) or text.lower() in self.blocked:
            return None
        return text


RULES_SQL = (
    "select 'kind', id, code, priority, \"limit\", window_days, joins, browser_finds, verified_only"
    " from identities_identifiertype union all"
    " select 'blocked', 0, value, 0, 0, 0, false, false, false from identities_blockedvalue"
)
"""A SELECT of nine columns, the first of which says what the row is: to be read with other configuration at once."""


def rules_of(rows: Iterable[tuple[Any, ...]], *, region: str) -> Rules:
    """The rules in rows of `RULES_SQL`; rows of another part are passed over."""
    kinds: dict[str, Kind] = {}
    blocked: set[str] = set()
    for part, id_, text, rank, limit, days, joins, browser_finds, verified_only in rows:
        if part == "blocked":
            blocked.add(text.strip().lower())
        elif part == "kind":
            window = None if days is None else days * DAY
            kinds[text] = Kind(id_, text, rank, limit, window, bool(joins), bool(browser_finds), bool(verified_only))
    return Rules(kinds=kinds, blocked=frozenset(blocked), region=region)


def load_rules(db: Database, *, region: str) -> Rules:
    """The rules as they are now: one query."""
    return rules_of(db.rows(RULES_SQL), region=region)


def indexed(kind: Kind, namespace: str, text: str) -> str:
    """The text whose blind index identifies a value: equal spellings of two types differ."""
    return f"{kind.code}\0{namespace}\0{text}"


def digest(keyring: Keyring, kind: Kind, namespace: str, text: str) -> bytes:
    """The blind index of a normalised value under the newest key."""
    return keyring.digest(_PURPOSE, indexed(kind, namespace, text))


def digests(keyring: Keyring, kind: Kind, namespace: str, text: str) -> list[bytes]:
    """The blind index under every active key, newest first: what a look-up asks."""
    return keyring.digests(_PURPOSE, indexed(kind, namespace, text))
