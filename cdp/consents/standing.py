"""What the people of a micro-batch allow, as the ledger has it and as the batch goes on: one query for all.

It has to come to what `cdp.consents.fold` finds afterwards. So each message of the batch has a microsecond of its own,
at which its merges happened and its rows became known.
"""

import uuid
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

from cdp.consents.carried import CARRIED, Carried
from cdp.consents.fold import Join, Said, Statement, at_odds, joined
from cdp.consents.state import OF_PEOPLE, Found
from cdp.core.bulk import Database, Table
from cdp.core.ids import uuid7

_RECORDS = Table(
    "consents_consentrecord",
    {
        "public_id": "uuid",
        "profile_id": "bigint",
        "type": "text",
        "granted": "boolean",
        "at": "bigint",
        "recorded_at": "bigint",
        "expires_at": "bigint",
        "source": "text",
        "cause": "text",
        "merge": "uuid",
        "event": "bytea",
        "body": "bytea",
    },
)
_UNWRITTEN = 2**62
_OWNED = 3
_NOTHING: Said = {}
_NEVER: dict[str, int] = {}


class Standings:
    """By person what counts of what they said, and the ledger rows that the batch adds. Times in µs."""

    def __init__(self, *, now: int) -> None:
        self.now = now
        self.stated: set[int] = set()
        """The profiles of which the batch adds a row."""
        self.joined_at: dict[uuid.UUID, int] = {}
        """When each merge of the batch happened."""
        self._rows: list[tuple[Any, ...]] = []
        self._said: dict[int, Said] = {}
        self._latest: dict[int, dict[str, int]] = {}

    def load(self, db: Database, people: Iterable[int]) -> None:
        """Read what the ledger says of people: one query."""
        rows = db.rows_in(OF_PEOPLE, people, "bigint", (self.now,))
        owner = {row[1]: row[2] for row in rows if row[0] == _OWNED}
        found = Found.of(rows)
        for one in found.statements:
            self._tell(owner[one.profile_id], one.type, one.at)
        profiles: dict[int, list[int]] = {person: [] for person in self._latest}
        for profile, person in owner.items():
            if person in profiles:
                profiles[person].append(profile)
        ours = Found(found.statements, [join for join in found.joins if owner[join.source_id] in profiles], {})
        self._said = dict(zip(profiles, ours.folded(list(profiles.values()), now=self.now), strict=True))

    def of(self, people: Sequence[int]) -> Said:
        """What counts for the person that `people` would be: what one of them does not allow is not allowed."""
        known = [self._said[person] for person in people if person in self._said]
        if not known:
            return _NOTHING
        return reduce(lambda one, other: joined(one, other, Join(self.now, 0, 0, 0)), known)

    def known(self, said: Said) -> dict[str, bool]:
        """Purpose → whether it is granted now."""
        return {purpose: statement.allows(self.now) for purpose, statement in said.items()}

    def counts(self, people: Sequence[int], said: Said, carried: Carried, *, at: int) -> bool:
        """Whether what a message of `people` said at `at` changes what counts: it is no older, and says otherwise."""
        before = said.get(carried.purpose)
        if before is None:
            return True
        latest = max(self._latest.get(person, _NEVER).get(carried.purpose, 0) for person in people)
        same = before.allows(self.now) if carried.granted else not before.granted
        return at >= latest and not same

    def join(self, merge: uuid.UUID, target: tuple[int, int], source: tuple[int, int], *, at: int) -> None:
        """Two people, each (person, the profile that the merge names), become the person of `target`, from `at` on.

        Where one allowed what the other did not, a row `cause=merge` withdraws it on the allowing side.
        """
        into, gone = target[0], source[0]
        ours, theirs = self._said.get(into, _NOTHING), self._said.pop(gone, _NOTHING)
        for purpose, latest in self._latest.pop(gone, _NEVER).items():
            self._tell(into, purpose, latest)
        self.joined_at[merge] = at
        step = Join(at, 0, target[1], source[1], row=_UNWRITTEN + len(self._rows), known=at, stated=at)
        for purpose in sorted(ours.keys() & theirs.keys()):
            if at_odds(ours[purpose], theirs[purpose], at=at):
                allowing = target[1] if ours[purpose].allows(at) else source[1]
                self._add(allowing, Carried(purpose, granted=False, cause="merge"), at, known=at, merge=merge)
        if ours or theirs:
            self._said[into] = joined(ours, theirs, step)

    def state(
        self,
        person: int,
        profile_id: int,
        carried: Carried,
        *,
        at: int,
        known: int,
        source: str,
        event: bytes,
        body: bytes | None,
    ) -> None:
        """Add to what the profile, of `person`, said at `at`, if it `counts`. `known`: its moment in the batch."""
        purpose, granted, cause = carried
        said = self._said.get(person, _NOTHING)
        when = max(at, said[purpose].at) if purpose in said else at
        self._tell(person, purpose, when)
        number = _UNWRITTEN + len(self._rows)
        statement = Statement(when, number, profile_id, purpose, granted, None, source, cause, known=known)
        self._said[person] = {**said, purpose: statement}
        self._add(profile_id, carried, when, known=known, source=source, event=event, body=body)

    def write(self, db: Database) -> None:
        """Write the rows of the batch: one statement."""
        db.insert(_RECORDS, self._rows)

    def _tell(self, person: int, purpose: str, at: int) -> None:
        """Note when the person spoke of the purpose."""
        times = self._latest.setdefault(person, {})
        times[purpose] = max(at, times.get(purpose, 0))

    def _add(
        self,
        profile_id: int,
        carried: Carried,
        at: int,
        *,
        known: int,
        source: str = "merge",
        merge: uuid.UUID | None = None,
        event: bytes | None = None,
        body: bytes | None = None,
    ) -> None:
        purpose, granted, cause = carried
        self.stated.add(profile_id)
        row = (uuid7(self.now), profile_id, purpose, granted, at, known, None, source, cause, merge, event, body)
        self._rows.append(row)


def lifts(before: Statement | None, carried: Carried, *, profile_id: int | None) -> bool:
    """Whether a grant would lift a withdrawal that was not made in the way and of the profile that it comes from.

    A browser's key is public: it grants for the profile of its own anonymous id only.
    """
    return (
        carried.granted
        and before is not None
        and not before.granted
        and (before.cause not in CARRIED or before.profile_id != profile_id)
    )
