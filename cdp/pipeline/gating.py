"""The gate in a micro-batch: whose message it is decides whether it may be stored (IDENTITY.md rule 7, row C2)."""

from collections.abc import Sequence, Set
from functools import partial

import msgspec

from cdp.consents.carried import Carried, speaks_of_consent, statements_of
from cdp.consents.fold import Said
from cdp.consents.gate import Gate, Judge, Rule
from cdp.consents.ledger import ConsentStatement
from cdp.consents.standing import Standings, lifts
from cdp.core.address import shortened
from cdp.core.bulk import Database
from cdp.identities.resolve import Population, Weighed
from cdp.pipeline.message import PRIVACY_CONTROL
from cdp.pipeline.reading import Reading


class Judgement(msgspec.Struct, frozen=True):
    """What the gate says of a message: the rule that stops it, and the statements that change what the person allows.

    `resolved`: it finds, makes or joins people even when it is stopped.
    """

    rule: Rule | None
    statements: Sequence[Carried] = ()
    resolved: bool = True
    warnings: Sequence[str] = ()


_LET_THROUGH = Judgement(None)


class Gatekeeper:
    """Judges the messages of one micro-batch in their order, and keeps the ledger's rows of what they said."""

    def __init__(self, base: Gate, standings: Standings, population: Population) -> None:
        self._base = base
        self._standings = standings
        self._population = population
        self._judge = Judge(base)

    def load(self, db: Database, readings: Sequence[Reading], addressed: Set[int]) -> None:
        """Read what the people of the batch allow; `addressed` are those that messages name directly. One query.

        As little as is needed: of most people only what the rules for these messages ask.
        """
        people = {self._population.find(profile) for profile in self._population.owner.values()} | addressed
        speaking = any(speaks_of_consent(one.context) or one.flags & PRIVACY_CONTROL for one in readings)
        calls = {(one.message.type, one.name, one.source.trusted) for one in readings}
        all_of = people if speaking else self._population.people.keys() | addressed
        self._standings.load(db, people, purposes=self._judge.purposes(calls), all_of=all_of)

    def judge(self, reading: Reading, weighed: Weighed) -> Judgement:
        """What becomes of a message of the people in `weighed`, under the consent that it states itself.

        A message that withdraws what it needs is stopped and yet resolved: who withdraws is known by every name that
        the message gave, so that the next one is stopped too.
        """
        said, strange = statements_of(
            self._base, reading.context, privacy_control=bool(reading.flags & PRIVACY_CONTROL)
        )
        standings = self._standings.of(weighed.people)
        call, name, trusted = reading.message.type, reading.name, reading.source.trusted
        if not said and not strange:
            if not standings:
                rule = self._judge.rule_of_unknown(call=call, name=name, trusted=trusted)
            else:
                allowed = partial(self._standings.allows, standings)
                rule = self._judge.rule(allowed, call=call, name=name, trusted=trusted)
            return _LET_THROUGH if rule is None else Judgement(rule, resolved=False)
        changes, ignored = self._changes(reading, weighed, said, standings)
        changed = {statement.purpose: statement.granted for statement in changes}

        def allows(purpose: str) -> bool | None:
            return changed[purpose] if purpose in changed else self._standings.allows(standings, purpose)

        rule = self._judge.rule(allows, call=call, name=name, trusted=trusted)
        warnings = [*(_STRANGE if strange else ()), *(_IGNORED if ignored else ())]
        withdrawn = {statement.purpose for statement in said if not statement.granted}
        return Judgement(rule, changes, rule is None or bool(changes) or rule.purpose in withdrawn, warnings)

    def carry_out(
        self, reading: Reading, weighed: Weighed, judgement: Judgement, profile_id: int, *, merges: int, at: int
    ) -> None:
        """After the message was resolved to `profile_id`: join the consents of the last `merges` that it caused, and
        write down what it said. `at` is the message's place in time within the batch.
        """
        population, standings = self._population, self._standings
        survivor = weighed.people[0] if weighed.people else 0
        joined = population.merges[len(population.merges) - merges :]
        for merge, source in zip(joined, weighed.people[1:], strict=True):
            target = survivor, merge.target_id
            standings.join(merge.public_id, target, (source, merge.source_id), at=at)
        if not judgement.statements:
            return
        own = None if reading.source.trusted else self._own_profile(weighed)
        body = _sealed(reading)
        for statement in judgement.statements:
            standings.state(
                population.find(profile_id),
                profile_id if own is None else own,
                statement,
                at=min(reading.ts, reading.received),
                known=at,
                source=reading.source.name[:100],
                event=reading.digest,
                body=body,
            )

    def _changes(
        self, reading: Reading, weighed: Weighed, said: Sequence[Carried], standings: Said
    ) -> tuple[list[Carried], bool]:
        """The statements that change something, and whether a grant was passed over because of where it came from."""
        at, people = min(reading.ts, reading.received), weighed.people
        changes = [one for one in said if self._standings.counts(people, standings, one, at=at)]
        if reading.source.trusted or not any(one.granted for one in changes):
            return changes, False
        if any(candidate.trusted for candidate in weighed.linking):
            return changes, False
        own = self._own_profile(weighed)
        stranger = own is None and bool(weighed.people)
        heard = [
            one
            for one in changes
            if not one.granted or not (stranger or lifts(standings.get(one.purpose), one, profile_id=own))
        ]
        return heard, len(heard) < len(changes)

    def _own_profile(self, weighed: Weighed) -> int | None:
        """The profile that the message's anonymous id belongs to already."""
        for candidate in weighed.linking:
            if candidate.kind.code == _ANONYMOUS:
                return self._population.owner.get(candidate.digest)
        return None


_ANONYMOUS = "anonymous_id"
_STRANGE = ("unknown_consent_category",)
_IGNORED = ("consent_grant_ignored",)


def _sealed(reading: Reading) -> bytes | None:
    """The encrypted part of the statements: the address they came from, shortened."""
    address = reading.context.get("ip")
    if not isinstance(address, str) or not shortened(address):
        return None
    return ConsentStatement(granted=False, at=0, ip=address).sealed()
