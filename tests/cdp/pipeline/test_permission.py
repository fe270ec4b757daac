"""Permission on the real store: whatever is said, merged, separated and runs out, nobody is reached whom it forbids."""

from typing import Any

import time_machine
from django.test import TestCase
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase

from cdp.consents.ledger import ConsentStatement
from cdp.consents.models import Purpose
from cdp.consents.permission import may_use, permitted
from cdp.core.clock import now_us
from cdp.core.errors import Invalid
from cdp.pipeline.lease import forget_lease
from cdp.pipeline.merge import merge_people, unmerge
from cdp.pipeline.state_consent import state_consents
from cdp.privacy.erase import delete_at_once
from cdp.profiles.models import Profile
from cdp.profiles.people import fragments_at
from cdp.segments.audience import audience_after, audience_pages, audience_size
from cdp.segments.membership import add_members
from tests import factories as make
from tests.cdp.consents.test_fold import GRANTED_AGAIN, STEPS, STILL_WITHDRAWN, World, by_definition
from tests.cdp.segments.making import a_list
from tests.cdp.segments.test_audience import an_audience

KINDS = ("MARKETING_EMAIL", "ANALYTICS_TRACKING")
START = 1_767_225_600_000_000
SECOND = 1_000_000


def real_steps() -> Any:
    """`STEPS` about purposes of which one is denied and one allowed while nothing is known."""
    other = {"PROFILING": "ANALYTICS_TRACKING"}
    return STEPS.map(lambda steps: [tuple(other.get(part, part) for part in step) for step in steps])


class Played(World):
    """A world whose steps are also done to the store, a second a tick."""

    def __init__(self, traveller: Any) -> None:
        super().__init__()
        self.traveller = traveller
        self.profiles = [make.profile(at=START) for _ in range(5)]
        self.merges: list[Any] = []

    def tick(self) -> None:
        self.traveller.move_to(START / SECOND + self.clock)

    def say(self, profile: int, kind: str, granted: bool, ago: int, lasts: int | None) -> None:
        self.tick()
        super().say(profile, kind, granted, ago, lasts)
        said = self.statements[-1]
        until = None if said.expires_at is None else START + said.expires_at * SECOND
        statement = ConsentStatement(granted, START + said.at * SECOND, until)
        state_consents(self.profiles[profile].public_id, [kind], statement, actor="test")

    def merge(self, one: int, other: int) -> None:
        before = len(self.joins)
        one, other = (self.person(profile, self.clock)[0] for profile in (one, other))  # a merge names first profiles
        super().merge(one, other)
        if len(self.joins) > before:
            self.traveller.move_to(START / SECOND + self.joins[-1][0].at)
            ids = [self.profiles[n].public_id for n in (one, other)]
            self.merges += merge_people(ids[0], [ids[1]], strategy="latest", actor="test").merges

    def undo(self, number: int) -> None:
        before = list(self.joins)
        super().undo(number)
        for n, (was, now) in enumerate(zip(before, self.joins, strict=True)):
            if was != now and now[1] is not None:
                self.traveller.move_to(START / SECOND + now[1])
                unmerge(self.merges[n].public_id, actor="test")


class TestPermission(HypothesisTestCase):
    """Five profiles, two purposes, an audience for each."""

    @given(real_steps(), st.integers(0, 12))
    @example(STILL_WITHDRAWN, 0)
    @example(GRANTED_AGAIN, 0)
    @settings(max_examples=20, deadline=None)
    def test_it_is_what_the_ledger_says_at_any_moment(self, steps: list[tuple[Any, ...]], ago: int) -> None:
        forget_lease()
        with time_machine.travel(START / SECOND, tick=False) as traveller:
            world = Played(traveller)
            world.run(steps)
            numbers = {profile.pk: n for n, profile in enumerate(world.profiles)}
            world.tick()
            self._compare(world, numbers, world.clock)
            past = world.clock - ago
            for number, profile in enumerate(world.profiles):
                then = fragments_at(profile.pk, START + past * SECOND)
                assert [numbers[id_] for id_ in then] == world.person(number, past)
                self._right(world, [then], numbers, past)

    def _compare(self, world: Played, numbers: dict[int, int], now: int) -> None:
        people: dict[int, list[int]] = {}
        for id_, person in Profile.objects.order_by("pk").values_list("pk", "person_id"):
            people.setdefault(person, []).append(id_)
        allowed = self._right(world, list(people.values()), numbers, now)
        vip = a_list()
        add_members(vip, list(people), actor="test")
        for kind in KINDS:
            may = [person for person, yes in zip(people, allowed[kind], strict=True) if yes]
            audience = an_audience(vip, consent=kind)
            assert [m.person_id for page in audience_pages(audience) for m in page] == may
            assert [m.person_id for m in audience_after(audience, 0, limit=9, now=now_us())] == may
            assert audience_size(audience, now=now_us()).without_consent == len(people) - len(may)
            for profile in Profile.objects.all():
                assert may_use(profile.public_id, kind, now=now_us()) is (profile.person_id in may)

    def _right(
        self, world: Played, people: list[list[int]], numbers: dict[int, int], now: int
    ) -> dict[str, list[bool]]:
        found = {}
        for kind in KINDS:
            found[kind] = permitted(people, kind, now=START + now * SECOND)
            assert found[kind] == [
                self._expected(world, sorted(numbers[id_] for id_ in one), kind, now) for one in people
            ]
        return found

    def _expected(self, world: Played, person: list[int], kind: str, now: int) -> bool:
        said = by_definition(world, person, kind, now)
        return kind == "ANALYTICS_TRACKING" if said is None else said.allows(now)


class TestAsking(TestCase):
    """What is asked of permission besides."""

    def test_a_thousand_people_are_one_query(self) -> None:
        people = [[make.profile().pk] for _ in range(3)]
        with self.assertNumQueries(1):
            assert permitted(people, "marketing_email", now=now_us()) == [False] * 3
        with self.assertNumQueries(1):
            assert permitted([*people, *people], "ANALYTICS_TRACKING", now=now_us()) == [True] * 6
        with self.assertNumQueries(0):
            assert permitted([], "PROFILING", now=now_us()) == []

    def test_the_purpose_decides_what_is_unknown(self) -> None:
        ada = make.profile()
        Purpose.objects.filter(code="PROFILING").update(unknown="allow")
        assert may_use(ada.public_id, "PROFILING", now=now_us()) is True

    def test_a_grant_that_ran_out_is_no_grant_whatever_the_purpose(self) -> None:
        ada, now = make.profile(), now_us()
        statement = ConsentStatement(True, now - 9, now - 1)
        state_consents(ada.public_id, ["ANALYTICS_TRACKING"], statement, actor="test")
        assert may_use(ada.public_id, "ANALYTICS_TRACKING", now=now) is False

    def test_who_is_not_there_allows_nothing(self) -> None:
        ada = make.profile()
        delete_at_once([ada], actor="test")
        assert may_use(ada.public_id, "ANALYTICS_TRACKING", now=now_us()) is False

    def test_a_purpose_that_is_none(self) -> None:
        with self.assertRaisesMessage(Invalid, "'NOPE' is no consent type. Use one of: MARKETING_EMAIL"):
            may_use(make.profile().public_id, "NOPE", now=now_us())
