"""The law of following: whatever happened, members are those of a full computation, and the outbox tells how."""

import uuid
from typing import Any

from django.conf import settings as installation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from cdp.core.clock import now_us
from cdp.history.export import flush
from cdp.history.tail import forget_tail
from cdp.identities.lookup import find_person
from cdp.identities.models import SuppressedIdentifier
from cdp.pipeline.lease import forget_lease
from cdp.pipeline.merge import merge_people, unmerge
from cdp.privacy.erase import delete_at_once
from cdp.privacy.lift import lift_suppression
from cdp.profiles.models import Merge, Profile
from cdp.segments.definition import define
from cdp.segments.evaluate import evaluate
from cdp.segments.follow import follow
from cdp.segments.membership import add_members, remove_members
from cdp.segments.models import MembershipChange, Segment
from tests.cdp.segments.making import a_list, a_rule, members
from tests.sending import message, send

PEOPLE = 3
PLANS = ("pro", "free")
who = st.integers(0, PEOPLE - 1)
STEP = st.one_of(
    st.tuples(st.just("trait"), who, st.sampled_from(PLANS)),
    st.tuples(st.just("buy"), who),
    st.tuples(st.just("visit"), who),
    st.tuples(st.just("sign in"), who),
    st.tuples(st.just("merge"), who, who),
    st.tuples(st.just("unmerge")),
    st.tuples(st.just("delete"), who),
    st.tuples(st.just("list"), who, st.booleans()),
    st.tuples(st.just("define"), st.sampled_from(PLANS)),
    st.tuples(st.just("flush")),
)


def person(number: int) -> Profile | None:
    return find_person("user_id", f"user-{number}") or find_person("anonymous_id", f"visitor-{number}")


def perform(step: tuple[Any, ...]) -> None:
    """One thing that happens; what cannot happen (nobody there) does not."""
    kind, *given_ = step
    if kind == "trait":
        send(message("identify", userId=f"user-{given_[0]}", traits={"plan": given_[1]}))
    elif kind == "buy":
        send(message(event="Order Completed", userId=f"user-{given_[0]}", properties={"revenue": 5}))
    elif kind == "visit":
        send(message(event="Order Completed", anonymousId=f"visitor-{given_[0]}"))
    elif kind == "sign in":
        send(message("identify", anonymousId=f"visitor-{given_[0]}", userId=f"user-{given_[0]}"))
    elif kind == "flush":
        flush()
    elif kind == "define":
        rule = [{"trait": "plan", "operator": "=", "value": given_[0]}]
        define(Segment.objects.get(key="pros"), {"rules": rule})
    elif kind == "unmerge":
        last = Merge.objects.filter(active=True).order_by("-id").first()
        if last is not None:
            unmerge(last.public_id, actor="test")
    else:
        perform_on(kind, person(given_[0]), given_[1:])


def perform_on(kind: str, one: Profile | None, given_: list[Any]) -> None:
    if one is None:
        return
    if kind == "delete":
        delete_at_once([one], actor="test")
        for row in SuppressedIdentifier.objects.filter(lifted_at=None):
            lift_suppression(row, actor="test", why="may come back")
    elif kind == "list":
        vip = Segment.objects.get(key="vip")
        if given_[0]:
            add_members(vip, [one.pk], actor="test")
        else:
            remove_members(vip, [one.pk])
    elif (other := person(given_[0])) is not None and other.pk != one.pk:
        merge_people(one.public_id, [other.public_id], strategy="latest", actor="test")


def replayed(segment: Segment) -> list[int]:
    """Whoever is in after all that the outbox tells; every entry and exit must be one.

    Of the erased it tells that they left, and nothing of what was before.
    """
    inside: set[int] = set()
    for person_id, change, cause in (
        MembershipChange.objects.filter(segment=segment).order_by("id").values_list("person_id", "change", "cause")
    ):
        if change == "entered":
            assert person_id not in inside
            inside.add(person_id)
        elif cause == "deleted":
            assert person_id not in inside
        else:
            inside.remove(person_id)
    return sorted(inside)


class TestFollowing(TestCase):
    """Six segments of every kind, three people who are in some of them, and things that happen to them.

    After each the segments are followed, or not until more has happened.
    """

    @given(st.lists(st.tuples(STEP, st.booleans()), min_size=2, max_size=8))
    @example([(("unmerge",), False), (("merge", 0, 1), False)])
    @settings(max_examples=15, deadline=None)
    def test_following_is_computing_everything_anew(self, steps: list[tuple[tuple[Any, ...], bool]]) -> None:
        installation.LAKE_URL = str(installation.DATA_DIR / "lakes" / uuid.uuid4().hex)
        forget_tail()
        forget_lease()
        a_list("vip")
        a_rule("pros", {"trait": "plan", "operator": "=", "value": "pro"})
        a_rule("twice", {"event": "purchase", "operator": ">=", "value": 2})
        a_rule("both", {"segment": "pros"}, {"segment": "twice"})
        a_rule("any", {"segment": "both"}, {"segment": "vip"}, operator="OR")
        a_rule("not-pros", {"segment": "pros", "member": False})
        for number in range(PEOPLE):
            perform(("trait", number, PLANS[number % 2]))
            perform(("visit", number))
            perform(("list", number, number == 1))
        perform(("buy", 0))
        follow()
        for step, followed in steps:
            perform(step)
            if followed:
                follow()
        follow()
        segments = list(Segment.objects.order_by("pk"))
        anew = evaluate(segments, now=now_us())
        assert anew.errors == {}
        for segment in segments:
            assert members(segment) == anew.members[segment.pk].tolist(), segment.key
            assert replayed(segment) == members(segment), segment.key
