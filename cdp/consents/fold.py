"""What the statements about one person come to: a fold over the ledger and the merges of the person.

The statement that was made last counts. A merge is a step of its own, among the statements in the order in which they
became known: where one side allows a purpose at that moment and the other has withdrawn it, it is withdrawn, until
somebody says otherwise later (IDENTITY.md rule 7). A merge that was undone is no step, so everything is as if it had
not been: the rows `cause=merge` of the ledger only say when a merge that counts took its place. What nobody said
restricts nothing, nor does, at a merge, a grant that has run out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec


class ConsentState(msgspec.Struct, frozen=True):
    """The statement that counts for one purpose; `granted` is false once a grant has expired. Times are µs."""

    type: str
    granted: bool
    at: int
    expires_at: int | None
    source: str
    cause: str
    document: str = ""


class Statement(NamedTuple):
    """What was said of one purpose at `at`; `known` says when it was written, rows in the order of their `id`."""

    at: int
    id: int
    profile_id: int
    type: str
    granted: bool
    expires_at: int | None = None
    source: str = ""
    cause: str = "statement"
    document: str = ""
    known: int = 0

    def allows(self, now: int) -> bool:
        """Whether it is a grant that has not run out at `now`."""
        return self.granted and (self.expires_at is None or self.expires_at > now)


class Join(NamedTuple):
    """A merge that is active at the moment that is asked for. `row` is the first row of the ledger that it wrote, 0 for

    none; `stated`: the time of the withdrawal that it makes.
    """

    at: int
    id: int
    target_id: int
    source_id: int
    row: int = 0
    known: int = 0
    stated: int = 0


Said = dict[str, Statement]
"""By purpose the statement that counts."""


def fold(profiles: Sequence[int], statements: Iterable[Statement], joins: Iterable[Join], *, now: int) -> Said:
    """What counts at `now` of what the person with these `profiles` said. Statements are sorted by (at, id).

    A join with a profile that is none of these is passed over. Profiles that no join holds together (somebody merged
    them this moment) are taken together at the end, and what one of them has withdrawn is withdrawn.
    """
    if len(profiles) == 1:
        return {said.type: said for said in statements}
    groups: dict[int, int] = {profile: profile for profile in profiles}
    said: dict[int, Said] = {profile: {} for profile in profiles}

    def root(profile: int) -> int:
        while groups[profile] != profile:
            groups[profile] = profile = groups[groups[profile]]
        return profile

    steps: list[Statement | Join] = [*statements, *joins]
    for step in sorted(steps, key=_place):
        if isinstance(step, Statement):
            here = said[root(step.profile_id)]
            before = here.get(step.type)
            if before is None or before[:2] < step[:2]:
                here[step.type] = step
        elif step.target_id in groups and step.source_id in groups:
            one, other = root(step.target_id), root(step.source_id)
            if one != other:
                groups[other] = one
                said[one] = joined(said[one], said.pop(other), step)
    result, *rest = said.values()
    for apart in rest:
        result = _restricted(result, apart, now=now)
    return result


def joined(one: Mapping[str, Statement], other: Mapping[str, Statement], step: Join) -> Said:
    """What two people who become one have said: what only one of them has withdrawn, both have from then on."""
    result: Said = {**one, **other}
    for kind in one.keys() & other.keys():
        mine, theirs = one[kind], other[kind]
        newest = max(mine, theirs)
        if at_odds(mine, theirs, at=step.at):
            when = max(step.stated or step.at, newest.at)
            newest = Statement(when, step.row, newest.profile_id, kind, False, source="merge", cause="merge")
        result[kind] = newest
    return result


def at_odds(one: Statement, other: Statement, *, at: int) -> bool:
    """Whether one allows at `at` what the other has withdrawn."""
    return (one.allows(at) and not other.granted) or (other.allows(at) and not one.granted)


def _restricted(one: Mapping[str, Statement], other: Mapping[str, Statement], *, now: int) -> Said:
    """Both together, where they are at odds the withdrawal as it is."""
    result: Said = {**one, **other}
    for kind in one.keys() & other.keys():
        mine, theirs = one[kind], other[kind]
        odd = at_odds(mine, theirs, at=now)
        result[kind] = (theirs if mine.granted else mine) if odd else max(mine, theirs)
    return result


def states_of(said: Said, *, now: int) -> list[ConsentState]:
    """What `fold` found, as the states at `now`, by purpose."""
    return [
        ConsentState(kind, one.allows(now), one.at, one.expires_at, one.source, one.cause, one.document)
        for kind, one in sorted(said.items())
    ]


def _place(step: Statement | Join) -> tuple[int, bool, int]:
    """Where a step belongs in the order in which things became known.

    A merge that wrote no row comes before what was written in the same microsecond: it met nothing at odds.
    """
    if isinstance(step, Statement):
        return step.known, True, step.id
    return (step.known, True, step.row) if step.row else (step.at, False, step.id)
