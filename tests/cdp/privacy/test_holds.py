"""Legal holds: on the whole person, through merges and unmerges, until they are released."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.access.models import AuditEntry
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.pipeline.merge import merge_people, unmerge
from cdp.privacy.holds import held, place_hold, release_hold
from cdp.privacy.models import LegalHold
from cdp.profiles.models import Merge, Profile
from tests import factories as make

pytestmark = pytest.mark.django_db


def people():
    return set(Profile.objects.values_list("person_id", flat=True))


def join(*profiles):
    first, *others = (profile.public_id for profile in profiles)
    return merge_people(first, others, strategy="latest", actor="test").merges


def hold(profile):
    profile.refresh_from_db()
    return place_hold(profile, reason="Case 1", actor="test")


def test_who_is_held_and_who_is_not():
    alice, bob = make.profile(), make.profile()
    placed = hold(alice)
    assert held([alice.pk, bob.pk]) == {alice.pk}
    release_hold(placed, actor="test", why="closed")
    assert held([alice.pk, bob.pk]) == set()


def test_a_hold_on_one_profile_holds_the_person():
    alice, bob = make.profile(), make.profile()
    join(alice, bob)
    hold(bob)
    assert LegalHold.objects.get().person_id == alice.pk
    assert held([alice.pk]) == {alice.pk}


def test_a_later_merge_brings_the_other_under_the_hold_and_an_unmerge_leaves_both_there():
    alice, bob, carol = make.profile(), make.profile(), make.profile()
    hold(carol)
    [merge] = join(alice, carol)
    assert held(people()) == {alice.pk}
    unmerge(merge.public_id, actor="test")
    assert held(people()) == {alice.pk, carol.pk}
    join(bob, alice)
    assert held(people()) == {alice.pk, carol.pk}  # bob's profile is younger than alice's, and part of her now


def test_what_was_apart_before_the_hold_is_not_held():
    alice, bob = make.profile(), make.profile()
    [merge] = join(alice, bob)
    unmerge(merge.public_id, actor="test")
    hold(alice)
    assert held(people()) == {alice.pk}


def test_who_left_before_the_hold_came_is_free():
    """bob and carol were one after alice was held, and apart before bob became part of her."""
    alice, bob, carol = make.profile(), make.profile(), make.profile()
    hold(alice)
    [earlier] = join(bob, carol)
    unmerge(earlier.public_id, actor="test")
    join(alice, bob)
    assert held(people()) == {alice.pk}


def test_several_holds_end_one_by_one():
    alice = make.profile()
    first, second = hold(alice), hold(alice)
    release_hold(first, actor="test", why="closed")
    assert held([alice.pk]) == {alice.pk}
    with pytest.raises(Conflict, match="released already"):
        release_hold(first, actor="test", why="again")
    release_hold(second, actor="test", why="closed")
    assert held([alice.pk]) == set()


def test_what_is_recorded():
    alice = make.profile()
    placed = hold(alice)
    release_hold(placed, actor="user:7", why="Closed")
    entries = AuditEntry.objects.order_by("id").values_list("actor", "action", "object_type", "object_ids", "why")
    named = [str(placed.public_id), str(alice.public_id)]
    assert list(entries) == [
        ("test", "hold", "legalhold", named, "Case 1"),
        ("user:7", "release", "legalhold", named, "Closed"),
    ]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_reason_is_needed(reason):
    alice = make.profile()
    with pytest.raises(Invalid):
        place_hold(alice, reason=reason, actor="test")
    assert LegalHold.objects.count() == 0


def test_nobody_can_be_held_who_is_gone():
    alice = make.profile()
    gone = Profile(pk=alice.pk + 1)
    with pytest.raises(NotFound):
        place_hold(gone, reason="Case 1", actor="test")


def test_one_query_whatever_the_number(django_assert_num_queries):
    everybody = [make.profile() for _ in range(5)]
    join(*everybody[:3])
    hold(everybody[2])
    with django_assert_num_queries(0):  # the ORM's connection is asked by the driver itself
        assert held(range(10_000)) == {everybody[0].pk}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("merge"), st.integers(0, 4), st.integers(0, 4)),
        st.tuples(st.just("unmerge"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("hold"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("release"), st.integers(0, 4), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_law_whatever_the_order(steps, time_machine):
    """After each step whoever is one person with a held profile becomes held, and stays it until the release."""
    for model in (Merge, LegalHold, Profile):
        model.objects.all().delete()
    profiles = [make.profile() for _ in range(5)]
    moments = itertools.count(1_800_000_000)
    covered: dict[int, set[int]] = {}  # hold → profiles
    merges: list[Merge] = []
    for kind, one, other in steps:
        time_machine.move_to(next(moments), tick=False)
        for profile in profiles:
            profile.refresh_from_db()
        if kind == "merge" and profiles[one].person_id != profiles[other].person_id:
            merges += join(profiles[one], profiles[other])
        elif kind == "unmerge" and one < len(merges):
            merge = merges.pop(one)
            unmerge(merge.public_id, actor="test")
        elif kind == "hold":
            covered[hold(profiles[one]).pk] = {profiles[one].pk}
        elif kind == "release" and one < len(covered):
            number = sorted(covered)[one]
            del covered[number]
            release_hold(LegalHold.objects.get(pk=number), actor="test", why="closed")
        of = dict(Profile.objects.values_list("pk", "person_id"))
        for under in covered.values():
            touched = {of[profile] for profile in under}
            under |= {profile for profile, person in of.items() if person in touched}
        expected = {of[profile] for under in covered.values() for profile in under}
        assert held(set(of.values())) == expected
