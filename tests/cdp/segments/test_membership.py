"""Lists by hand: they follow merges and come apart again exactly; the deleted are gone at once."""

import pytest

from cdp.core.errors import Conflict
from cdp.pipeline.merge import merge_people, unmerge
from cdp.privacy.erase import delete_at_once
from cdp.segments.follow import follow
from cdp.segments.generations import Cause
from cdp.segments.membership import add_members, remove_members, replace
from cdp.segments.models import ListedProfile, Membership, MembershipChange, Segment
from tests.cdp.segments.making import a_list, changes, ids, members, some_people

pytestmark = pytest.mark.django_db


def test_people_enter_and_leave_by_hand() -> None:
    vip = a_list()
    alice, bob, carol = ids(some_people(3))
    assert add_members(vip, [alice, bob], actor="user:1") == 2
    assert add_members(vip, [bob, carol], actor="user:1") == 1
    assert remove_members(vip, [alice]) == 1
    assert remove_members(vip, [alice]) == 0
    assert members(vip) == [bob, carol]
    assert changes(vip) == [
        (alice, "entered", "manual"),
        (bob, "entered", "manual"),
        (carol, "entered", "manual"),
        (alice, "left", "manual"),
    ]


def test_a_new_list_has_nothing_to_compute() -> None:
    vip = a_list()
    assert follow() == 0
    assert vip.status(now=0) == "ready"


def test_a_list_is_replaced_as_a_whole() -> None:
    vip = a_list(type="lookalike")
    alice, bob, carol = ids(some_people(3))
    assert replace(vip, [bob, alice, bob], cause=Cause.MODEL) == 2
    assert replace(vip, [bob, carol], cause=Cause.MODEL) == 2
    assert members(vip) == [bob, carol]
    assert changes(vip)[2:] == [(carol, "entered", "model"), (alice, "left", "model")]
    vip.refresh_from_db()
    assert not vip.due


def test_a_rule_has_no_list() -> None:
    rule = Segment.objects.create(key="r", name="r", type="rule-based", created_at=0, updated_at=0)
    with pytest.raises(Conflict, match="follow from its rule"):
        add_members(rule, [1], actor="user:1")


def test_membership_follows_a_merge_and_an_unmerge_undoes_it_exactly() -> None:
    vip = a_list()
    alice, bob, carol = some_people(3)
    add_members(vip, ids([bob, carol]), actor="user:1")
    result = merge_people(alice.public_id, [bob.public_id], strategy="latest", actor="user:1")
    follow()
    assert members(vip) == ids([alice, carol])
    assert changes(vip)[2:] == [(alice.pk, "entered", "merge"), (bob.pk, "left", "merge")]
    unmerge(result.merges[0].public_id, actor="user:1")
    follow()
    assert members(vip) == ids([bob, carol])
    assert changes(vip)[4:] == [(bob.pk, "entered", "merge"), (alice.pk, "left", "merge")]


def test_whoever_is_taken_off_after_a_merge_stays_off() -> None:
    vip = a_list()
    alice, bob = some_people(2)
    add_members(vip, ids([bob]), actor="user:1")
    result = merge_people(alice.public_id, [bob.public_id], strategy="latest", actor="user:1")
    follow()
    remove_members(vip, [alice.pk])
    assert members(vip) == []
    unmerge(result.merges[0].public_id, actor="user:1")
    follow()
    assert members(vip) == []


def test_the_deleted_leave_at_once() -> None:
    vip, other = a_list(), a_list("other")
    alice, bob = some_people(2)
    add_members(vip, ids([alice, bob]), actor="user:1")
    add_members(other, ids([bob]), actor="user:1")
    delete_at_once([bob], actor="user:1")
    assert (members(vip), members(other)) == ([alice.pk], [])
    assert changes(vip) == [(alice.pk, "entered", "manual"), (bob.pk, "left", "deleted")]
    assert not Membership.objects.filter(person_id=bob.pk).exists()
    assert not ListedProfile.objects.filter(profile_id=bob.pk).exists()
    follow()
    assert (members(vip), MembershipChange.objects.count()) == ([alice.pk], 3)


def test_who_is_deleted_while_a_generation_is_written_does_not_stay() -> None:
    """The person is in rows of the next generation, which the deletion cannot see as members yet."""
    vip = a_list()
    (bob,) = some_people(1)
    ListedProfile.objects.create(segment=vip, profile_id=bob.pk, added_at=0)
    Membership.objects.create(segment=vip, person_id=bob.pk, from_gen=1, entered_at=0)
    delete_at_once([bob], actor="user:1")
    Segment.objects.update(generation=1, size=1)
    Membership.objects.get_or_create(segment=vip, person_id=bob.pk, from_gen=1, entered_at=0)
    follow()
    assert Membership.objects.filter(to_gen=None).count() == 0
    vip.refresh_from_db()
    assert vip.size == 0
