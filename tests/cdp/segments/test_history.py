"""What a segment was: sizes by the hour, changes by cursor, and what is forgotten."""

import pytest

from cdp.core.clock import DAY, HOUR, now_us
from cdp.segments.generations import Cause, Change, Group, Turn, turn_over
from cdp.segments.history import changes_after, delete_with_rows, forget_old, last_changes, sizes
from cdp.segments.lease import leased
from cdp.segments.models import ListedProfile, Membership, MembershipChange, Segment, SegmentSize
from tests.cdp.segments.making import a_list, many_people, members

pytestmark = pytest.mark.django_db


def turn(segment: Segment, *groups: Group, at: int) -> None:
    with leased([segment.pk]) as lease:
        turn_over([Turn(lease.segments[0], groups)], lease, since=0, now=at)


def test_sizes_add_up_within_an_hour_and_begin_with_the_last_one_before() -> None:
    vip = a_list()
    people = many_people(5)
    day = 500 * DAY
    turn(vip, Group(Change.ENTERED, Cause.EVENT, people[:2]), at=day)
    turn(vip, Group(Change.ENTERED, Cause.EVENT, people[2:]), at=day + HOUR // 2)
    turn(vip, Group(Change.LEFT, Cause.EVENT, people[:1]), at=day + 5 * HOUR)
    found = [(row.hour - day // HOUR, row.size, row.entries, row.exits) for row in sizes(vip, since=day)]
    assert found == [(0, 5, 5, 0), (5, 4, 0, 1)]
    assert [row.size for row in sizes(vip, since=day + 9 * HOUR)] == [4]


def test_changes_of_a_generation_that_is_not_one_yet_are_not_read() -> None:
    vip = a_list()
    alice, bob = many_people(2)
    turn(vip, Group(Change.ENTERED, Cause.EVENT, [alice]), at=DAY)
    MembershipChange.objects.create(segment=vip, person_id=bob, generation=2, change="entered", cause="event", at=DAY)
    vip.refresh_from_db()
    assert [row.person_id for row in changes_after(vip, 0, limit=10)] == [alice]
    assert [row.person_id for row in last_changes(vip, limit=10)] == [alice]


def test_what_is_old_is_forgotten_and_members_stay() -> None:
    vip = a_list()
    alice, bob, carol = many_people(3)
    now = now_us()
    turn(vip, Group(Change.ENTERED, Cause.EVENT, [alice, bob, carol]), at=now - 10 * DAY)
    turn(vip, Group(Change.LEFT, Cause.EVENT, [alice]), at=now - 2 * DAY)
    turn(vip, Group(Change.LEFT, Cause.EVENT, [bob]), at=now - HOUR)
    assert forget_old(now=now, keep_days=5) == 1 + 3
    assert members(vip) == [carol]
    assert set(Membership.objects.values_list("person_id", flat=True)) == {bob, carol}
    assert list(MembershipChange.objects.values_list("change", flat=True)) == ["left", "left"]
    assert forget_old(now=now, keep_days=5) == 0


def test_rows_of_a_generation_that_is_being_written_are_not_forgotten() -> None:
    """Somebody leaves in a generation that was never turned over: still a member."""
    vip = a_list()
    (alice,) = many_people(1)
    turn(vip, Group(Change.ENTERED, Cause.EVENT, [alice]), at=DAY)
    Membership.objects.update(to_gen=2, left_at=DAY)
    forget_old(now=now_us(), keep_days=36_000)
    assert members(vip) == [alice]


def test_a_deleted_segment_leaves_nothing_also_when_the_process_died_meanwhile() -> None:
    vip, other = a_list(), a_list("other")
    (alice,) = many_people(1)
    for segment in (vip, other):
        turn(segment, Group(Change.ENTERED, Cause.EVENT, [alice]), at=now_us())
        ListedProfile.objects.create(segment=segment, profile_id=alice, added_at=0)
    delete_with_rows(vip)
    Segment.objects.filter(pk=other.pk).delete()
    tables = (Membership, MembershipChange, SegmentSize, ListedProfile)
    assert [table.objects.filter(segment_id=vip.pk or 1).count() for table in tables] == [0, 0, 0, 0]
    assert forget_old(now=now_us(), keep_days=400) == 4
    assert [table.objects.count() for table in tables] == [0, 0, 0, 0]
