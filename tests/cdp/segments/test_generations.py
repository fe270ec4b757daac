"""A generation is seen whole or not at all, whoever dies when."""

import threading
from typing import Any

import pytest
from django.db import connection

from cdp.core.clock import now_us
from cdp.segments import generations
from cdp.segments.generations import CHUNK, Cause, Change, Group, Turn, turn_over
from cdp.segments.lease import LeaseLost, leased
from cdp.segments.members import members_after
from cdp.segments.models import Membership, MembershipChange, Segment, SegmentSize
from tests.cdp.segments.making import a_list, changes, many_people, members, statements


def enter(segment: Segment, people: list[int], cause: Cause = Cause.MANUAL) -> Turn:
    return Turn(segment, [Group(Change.ENTERED, cause, people)])


def leave(segment: Segment, people: list[int], cause: Cause = Cause.MANUAL) -> Turn:
    return Turn(segment, [Group(Change.LEFT, cause, people)])


def turn(segment: Segment, *groups: Group) -> None:
    with leased([segment.pk]) as lease:
        turn_over([Turn(lease.segments[0], groups)], lease, since=0, now=now_us())


@pytest.mark.django_db
def test_entries_and_exits_make_one_generation_with_its_size_and_history() -> None:
    vip = a_list()
    alice, bob, carol, dave = many_people(4)
    turn(vip, Group(Change.ENTERED, Cause.INITIAL, [alice, bob, carol]))
    assert members(vip) == [alice, bob, carol]
    turn(vip, Group(Change.LEFT, Cause.TIME, [bob]), Group(Change.ENTERED, Cause.EVENT, [dave], historical=True))
    assert members(vip) == [alice, carol, dave]
    assert (vip.generation, vip.size) == (2, 3)
    assert changes(vip) == [
        (alice, "entered", "initial"),
        (bob, "entered", "initial"),
        (carol, "entered", "initial"),
        (bob, "left", "time"),
        (dave, "entered", "event"),
    ]
    assert list(MembershipChange.objects.filter(historical=True).values_list("person_id", flat=True)) == [dave]
    assert list(SegmentSize.objects.values_list("size", "entries", "exits")) == [(3, 4, 1)]


@pytest.mark.django_db
def test_who_left_and_comes_back_is_a_member_once() -> None:
    vip = a_list()
    alice = many_people(1)
    for _ in range(2):
        turn(vip, Group(Change.ENTERED, Cause.EVENT, alice))
        turn(vip, Group(Change.LEFT, Cause.EVENT, alice))
    turn(vip, Group(Change.ENTERED, Cause.EVENT, alice))
    assert members(vip) == alice
    assert Membership.objects.count() == 3


@pytest.mark.django_db
def test_without_a_change_the_generation_stays() -> None:
    vip = a_list()
    turn(vip, Group(Change.ENTERED, Cause.EVENT, [3]))
    turn(vip)
    vip.refresh_from_db()
    assert (vip.generation, vip.size) == (1, 1)


@pytest.mark.django_db
def test_an_older_generation_stays_readable() -> None:
    vip = a_list()
    alice, bob, carol = many_people(3)
    turn(vip, Group(Change.ENTERED, Cause.EVENT, [alice, bob]))
    turn(vip, Group(Change.LEFT, Cause.EVENT, [alice]), Group(Change.ENTERED, Cause.EVENT, [carol]))
    vip.refresh_from_db()
    seen = [[m.person_id for m in members_after(vip, limit=10, generation=g)] for g in (0, 1, 2)]
    assert seen == [[], [alice, bob], [bob, carol]]


@pytest.mark.django_db
def test_the_statements_do_not_grow_with_people_or_segments() -> None:
    def counted_at(segments: list[Segment], people: int) -> int:
        with leased([segment.pk for segment in segments]) as lease:
            turns = [enter(one, list(range(1, people + 1))) for one in lease.segments]
            with statements() as counted:
                turn_over(turns, lease, since=0, now=now_us())
        return len(counted)

    few = counted_at([a_list("a")], 1)
    many = counted_at([a_list(f"b{n}") for n in range(20)], CHUNK // 20)
    assert few == many


@pytest.mark.django_db
@pytest.mark.parametrize("dies_at", range(1, 5))
def test_whoever_dies_midway_leaves_the_old_generation_and_the_next_one_is_right(
    dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12,000 people enter and 4,000 leave in chunks of 5,000; writing chunk `dies_at` fails."""
    vip = a_list()
    people = many_people(16_000)
    before, after = people[:4_000], people[4_000:]
    turn(vip, Group(Change.ENTERED, Cause.INITIAL, before))
    steps = [Group(Change.ENTERED, Cause.EVENT, after), Group(Change.LEFT, Cause.EVENT, before)]
    written = 0
    real = generations._write

    def dying(*args: Any, **kwargs: Any) -> None:
        nonlocal written
        written += 1
        if written == dies_at:
            raise SystemError("killed")
        real(*args, **kwargs)

    monkeypatch.setattr(generations, "_write", dying)
    with pytest.raises(SystemError):
        turn(vip, *steps)
    assert members(vip) == before
    monkeypatch.setattr(generations, "_write", real)
    turn(vip, *steps)
    assert members(vip) == after
    assert MembershipChange.objects.count() == 4_000 + 12_000 + 4_000
    assert Membership.objects.filter(to_gen=None).count() == 12_000


@pytest.mark.django_db
def test_who_lost_the_lease_writes_nothing() -> None:
    vip = a_list()
    with leased([vip.pk]) as lease:
        Segment.objects.update(lease_holder="somebody else")
        with pytest.raises(LeaseLost):
            turn_over([enter(lease.segments[0], [3])], lease, since=0, now=now_us())
    assert members(vip) == []
    Segment.objects.update(lease_holder="", lease_until=0)


@pytest.mark.django_db
def test_a_lease_that_ran_out_can_be_taken() -> None:
    vip = a_list()
    with leased([vip.pk]) as first:
        assert first.ids == [vip.pk]
        with leased([vip.pk]) as second:
            assert second.ids == []
        Segment.objects.update(lease_until=now_us() - 1)
        with leased([vip.pk]) as third:
            assert third.ids == [vip.pk]
            with pytest.raises(LeaseLost):
                turn_over([enter(first.segments[0], [3])], first, since=0, now=now_us())


@pytest.mark.django_db(transaction=True)
def test_readers_see_whole_generations_while_others_are_written() -> None:
    """The segment holds either the even or the odd half of 12,000 people; nobody ever sees another set."""
    vip = a_list()
    people = many_people(12_000)
    halves = [people[0::2], people[1::2]]
    turn(vip, Group(Change.ENTERED, Cause.EVENT, halves[0]))
    seen: list[tuple[int, bool]] = []
    stop = threading.Event()
    looked = threading.Condition()

    def read() -> None:
        try:
            while not stop.is_set():
                segment = Segment.objects.get(pk=vip.pk)
                found = [m.person_id for m in members_after(segment, limit=20_000)]
                whole = found == halves[(segment.generation + 1) % 2] and len(found) == segment.size
                with looked:
                    seen.append((segment.generation, whole))
                    looked.notify()
        finally:
            connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(4):
            gone, come = halves[number % 2], halves[(number + 1) % 2]
            turn(vip, Group(Change.LEFT, Cause.EVENT, gone), Group(Change.ENTERED, Cause.EVENT, come))
            with looked:  # however busy the machine is, the reader looks at every generation, and between them too
                more = len(seen) + 2
                assert looked.wait_for(lambda more=more: len(seen) >= more, timeout=60)
    finally:
        stop.set()
        reader.join()
    assert len(seen) > 5
    assert [one for one in seen if not one[1]] == []
