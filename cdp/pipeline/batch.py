"""A micro-batch: the rows that wait, and what planning found out about them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cdp.consents.standing import Standings
from cdp.core.bulk import Deferred
from cdp.core.clock import DAY
from cdp.events.sessions import SessionRow, Sessions
from cdp.identities.resolve import Population, Resolution
from cdp.pipeline.reading import Reading
from cdp.profiles.rows import ProfileRow
from cdp.traits.document import Document


@dataclass(frozen=True, slots=True)
class Waiting:
    """An inbox row.

    `claimed`: its digest has its place in `seen` already, or nobody can send it again. `repeated`: it has none of its
    own, because another message of the same digest was accepted.
    """

    id: int
    digest: bytes
    source_id: int
    received: int
    body: bytes
    claimed: bool = True
    repeated: bool = False


@dataclass(slots=True)
class Failure:
    """A message that cannot be processed, and why."""

    waiting: Waiting
    code: str
    reason: str


@dataclass(slots=True)
class Batch:
    """What a micro-batch holds, step by step. `readings`, `resolutions` and `placed` are parallel."""

    now: int
    waiting: Sequence[Waiting]
    fence: int = 0
    messages: list[Waiting] = field(default_factory=list)
    """What is `waiting` without the repeats."""
    failures: list[Failure] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    """Before resolution what could be read; after it what is stored of somebody."""
    resolutions: list[Resolution] = field(default_factory=list)
    redacted: list[tuple[Reading, str]] = field(default_factory=list)
    """What is stored of nobody, and the purpose that was not allowed."""
    population: Population | None = None
    profiles: dict[int, ProfileRow] = field(default_factory=dict)
    documents: dict[int, Document] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    sessions: Sessions = field(default_factory=Sessions)
    placed: list[SessionRow | None] = field(default_factory=list)
    outcomes: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    standings: Standings = field(init=False)
    writes: Deferred = field(init=False)

    def __post_init__(self) -> None:
        self.standings = Standings(now=self.now)

    def note(self, source_id: int, outcome: str) -> None:
        """Count an outcome of today."""
        self.outcomes[self.now // DAY, source_id, outcome] += 1
