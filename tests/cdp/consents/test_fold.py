"""The fold of the ledger against a definition that reads the other way: from the last merge back to the first."""

from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdp.consents.fold import Join, Statement, fold

KINDS = ("MARKETING_EMAIL", "PROFILING")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 4), st.sampled_from(KINDS), st.booleans(), st.integers(0, 3),
                  st.none() | st.integers(1, 8)),
        st.tuples(st.just("merge"), st.integers(0, 4), st.integers(0, 4)),
        st.tuples(st.just("undo"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(1, 4)),
    ),
    max_size=24,
)  # fmt: skip

_NO, _YES = (False, 0, None), (True, 0, None)
STILL_WITHDRAWN = [
    ("say", 1, KINDS[0], *_NO), ("say", 2, KINDS[0], *_NO), ("wait", 1), ("say", 0, KINDS[0], *_YES),
    ("merge", 0, 1), ("merge", 0, 2), ("undo", 0),
]  # fmt: skip
"""The second merge meets nothing at odds, because the first took it away: undone, the second takes it away."""
GRANTED_AGAIN = [
    ("say", 1, KINDS[0], *_NO), ("wait", 1), ("say", 0, KINDS[0], *_YES), ("say", 2, KINDS[0], *_YES),
    ("merge", 0, 1), ("merge", 0, 2), ("undo", 0),
]  # fmt: skip
"""The second merge takes a grant away because of the first: undone, nothing takes it away."""


@dataclass
class World:
    """What was said and merged, in its order; times are small numbers."""

    clock: int = 10
    statements: list[Statement] = field(default_factory=list)
    joins: list[tuple[Join, int | None]] = field(default_factory=list)

    def run(self, steps) -> "World":
        for step in steps:
            getattr(self, step[0])(*step[1:])
        return self

    def say(self, profile, kind, granted, ago, lasts):
        at = self.clock - ago
        until = at + lasts if granted and lasts else None
        number = len(self.statements) + 1
        self.statements.append(Statement(at, number, profile, kind, granted, until, known=self.clock))

    def merge(self, one, other):
        if other not in self.person(one, self.clock):
            self.clock += 1
            self.joins.append((Join(self.clock, len(self.joins) + 1, one, other), None))
            self.clock += 1

    def undo(self, number):
        active = [n for n, (_, undone) in enumerate(self.joins) if undone is None]
        if active:
            self.clock += 1
            chosen = active[number % len(active)]
            self.joins[chosen] = (self.joins[chosen][0], self.clock)
            self.clock += 1

    def wait(self, long):
        self.clock += long

    def active(self, now):
        return [join for join, undone in self.joins if join.at <= now and (undone is None or undone > now)]

    def person(self, profile, now):
        found = {profile}
        while True:
            more = {
                p for j in self.active(now) for p in (j.target_id, j.source_id) if {j.target_id, j.source_id} & found
            }
            if more <= found:
                return sorted(found)
            found |= more


def by_definition(world, person, kind, now):
    """The statement that counts: the newest one known since the last merge, or what the two sides of it come to."""

    def counts(part, joins, before):
        inside = [j for j in joins if j.target_id in part and j.source_id in part]
        known = [s for s in world.statements if s.profile_id in part and s.type == kind and s.at <= now]
        known = [s for s in known if before is None or s.known < before]
        if not inside:
            return max(known, key=lambda s: s[:2], default=None)
        last = max(inside, key=lambda j: j.at)
        rest = [j for j in inside if j is not last]
        one = counts(reach(last.target_id, rest), rest, last.at)
        other = counts(reach(last.source_id, rest), rest, last.at)
        sides = [side for side in (one, other) if side is not None]
        base = max(sides, key=lambda s: s[:2], default=None)
        if len(sides) == 2 and sorted(_word(side, last.at) for side in sides) == ["no", "yes"]:
            base = Statement(max(last.at, base.at), 0, base.profile_id, kind, False)
        later = [s for s in known if s.known >= last.at]
        return max([*later, *([base] if base else [])], key=lambda s: s[:2], default=None)

    def reach(profile, joins):
        found = {profile}
        for _ in joins:
            for j in joins:
                if {j.target_id, j.source_id} & found:
                    found |= {j.target_id, j.source_id}
        return found

    return counts(set(person), world.active(now), None)


def _word(statement, at):
    if not statement.granted:
        return "no"
    return "yes" if statement.expires_at is None or statement.expires_at > at else "over"


@settings(max_examples=600, deadline=None)
@given(STEPS, st.integers(0, 12), st.integers(0, 4))
@example(STILL_WITHDRAWN, 0, 0)
@example(GRANTED_AGAIN, 0, 0)
def test_the_fold_is_its_definition_at_any_moment(steps, ago, profile):
    world = World().run(steps)
    now = world.clock - ago
    person = world.person(profile, now)
    said = fold(person, sorted(s for s in world.statements if s.at <= now and s.profile_id in person),
                world.active(now), now=now)  # fmt: skip
    for kind in KINDS:
        expected = by_definition(world, person, kind, now)
        found = said.get(kind)
        assert (found and (found.at, found.granted, found.expires_at)) == (
            expected and (expected.at, expected.granted, expected.expires_at)
        )


@settings(max_examples=300, deadline=None)
@given(STEPS, st.integers(0, 4), st.integers(0, 4))
def test_what_is_undone_has_never_been(steps, one, other):
    """A merge and its undoing leave every state as it was."""
    world = World().run([step for step in steps if step[0] != "undo"])
    apart = [world.person(profile, world.clock) for profile in (one, other)]

    def states():
        now = world.clock
        return [fold(person, sorted(s for s in world.statements if s.profile_id in person), world.active(now), now=now)
                for person in apart]  # fmt: skip

    before = states()
    world.merge(one, other)
    if len(world.active(world.clock)) and other not in apart[0]:
        world.undo(len(world.active(world.clock)) - 1)
    assert states() == before
