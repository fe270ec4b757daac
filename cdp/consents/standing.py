"""What the people of a micro-batch allow, as the ledger has it and as the batch goes on: one query for all.

It has to come to what `cdp.consents.fold` finds afterwards. So each message of the batch has a microsecond of its own,
at which its merges happened and its rows became known.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence, Set
from functools import reduce
from operator import itemgetter
from typing import Any

from cdp.consents.carried import CARRIED, Carried
from cdp.consents.fold import Join, Said, Statement, at_odds, joined
from cdp.consents.rows import RECORDS
from cdp.consents.state import ALONE, JOIN, MERGED, OWNED, STATEMENT, Found
from cdp.core.bulk import Database
from cdp.core.ids import uuid7

_SAID = f"""select * from (
    with asked as (select cast(? as bigint) as now){{purposes}},
         part as (select id, person_id from profiles_profile where person_id {{{{in}}}}),
         several as (select person_id as person from part group by person_id having count(*) > 1)
    select case when s.person is null then {ALONE} else {STATEMENT} end as what, part.person_id, c.profile_id, c.at,
           c.id, c.type, c.granted, c.expires_at, c.cause, coalesce(nullif(c.recorded_at, 0), c.at) as known, c.merge
    from asked cross join part join consents_consentrecord c on c.profile_id = part.id and c.at <= asked.now
         {{wanted}} left join several s on s.person = part.person_id
    union all
    select {JOIN}, s.person, m.source_id, m.created_at, m.id, '', true, m.target_id, '', 0, m.public_id
    from asked cross join several s join part on part.person_id = s.person
         join profiles_merge m on m.source_id = part.id
    where m.created_at <= asked.now and (m.active or m.undone_at > asked.now)
    union all
    select {OWNED}, s.person, part.id, 0, 0, '', false, null, '', 0, null
    from several s join part on part.person_id = s.person
) said"""
_ALL = _SAID.format(purposes="", wanted="")
"""What people with one profile said, and statements, merges and profiles of those with several; in few columns."""
_SOME = {
    postgres: _SAID.format(purposes=f", wanted as (select {each})", wanted="join wanted on wanted.purpose = c.type")
    for postgres, each in ((True, "unnest(?::text[]) as purpose"), (False, "value as purpose from json_each(?)"))
}
"""The same of some purposes only."""
_IN_ORDER = itemgetter(3, 0, 4)
_UNWRITTEN = 2**62
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

    def load(self, db: Database, people: Set[int], *, purposes: Collection[str], all_of: Set[int]) -> None:
        """Read what the ledger says of `people`, given by their numbers, about `purposes`; of `all_of` about every one.

        `all_of` are those of whom the batch may write something: whoever says something of consent or may be merged.
        One query.
        """
        wanted: Any = list(purposes) if db.postgres else json.dumps(list(purposes))
        some = people - all_of if purposes else ()
        parts = [
            (_ALL, people & all_of, "bigint", (self.now,)),
            (_SOME[db.postgres], some, "bigint", (self.now, wanted)),
        ]
        several: dict[int, list[int]] = defaultdict(list)
        rest = []
        for row in sorted(db.rows_in_each(parts), key=_IN_ORDER):
            what, person, number, at, id_, kind, granted, until, cause, known, _ = row
            if what == ALONE:  # sorted by the moment of the statement: the last one counts
                if cause == MERGED:  # and undone: they have one profile only
                    continue
                said = self._said.get(person)
                if said is None:
                    said = self._said[person] = {}
                said[kind] = Statement(at, id_, number, kind, bool(granted), until, "", cause, "", known)
            elif what == OWNED:
                several[person].append(number)
            else:
                rest.append(row)
        if several:
            self._fold(several, rest)

    def _fold(self, people: dict[int, list[int]], rows: Iterable[Sequence[Any]]) -> None:
        """What counts of people with several profiles."""
        owner = {profile: person for person, profiles in people.items() for profile in profiles}
        found = Found.of(
            (what, number, id_, at, kind, flag, until, "", cause, "", known, merge)
            for what, _, number, at, id_, kind, flag, until, cause, known, merge in rows
        )
        for one in found.statements:
            self._tell(owner[one.profile_id], one.type, one.at)
        folded = found.folded(list(people.values()), now=self.now)
        self._said.update((person, said) for person, said in zip(people, folded, strict=True) if said)

    def of(self, people: Sequence[int]) -> Said:
        """What counts for the person that `people` would be: what one of them does not allow is not allowed."""
        if not self._said:
            return _NOTHING
        if len(people) == 1:
            return self._said.get(people[0], _NOTHING)
        known = [self._said[person] for person in people if person in self._said]
        if not known:
            return _NOTHING
        return reduce(lambda one, other: joined(one, other, Join(self.now, 0, 0, 0)), known)

    def allows(self, said: Said, purpose: str) -> bool | None:
        """Whether the purpose is granted now; None when nothing was said of it."""
        statement = said.get(purpose)
        return None if statement is None else statement.allows(self.now)

    def counts(self, people: Sequence[int], said: Said, carried: Carried, *, at: int) -> bool:
        """Whether what a message of `people` said at `at` changes what counts: it is no older, and says otherwise."""
        before = said.get(carried.purpose)
        if before is None:
            return True
        latest = max(self._told(person, carried.purpose) for person in people)
        same = before.allows(self.now) if carried.granted else not before.granted
        return at >= latest and not same

    def join(self, merge: uuid.UUID, target: tuple[int, int], source: tuple[int, int], *, at: int) -> None:
        """Two people, each (person, the profile that the merge names), become the person of `target`, from `at` on.

        Where one allowed what the other did not, a row `cause=merge` withdraws it on the allowing side.
        """
        into, gone = target[0], source[0]
        ours, theirs = self._said.get(into, _NOTHING), self._said.get(gone, _NOTHING)
        for purpose in ours.keys() | theirs.keys():
            self._tell(into, purpose, max(self._told(into, purpose), self._told(gone, purpose)))
        self._said.pop(gone, None)
        self._latest.pop(gone, None)
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
        db.insert(RECORDS, self._rows)

    def _told(self, person: int, purpose: str) -> int:
        """When the person last spoke of the purpose; 0: never."""
        noted = self._latest.get(person, _NEVER).get(purpose)
        if noted is not None:
            return noted
        said = self._said.get(person, _NOTHING).get(purpose)
        return 0 if said is None else said.at

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
