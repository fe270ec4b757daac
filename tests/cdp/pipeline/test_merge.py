"""Merging on request, and undoing it exactly."""

import uuid
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.core.ids import uuid7
from cdp.identities.lookup import find_person
from cdp.identities.models import Identifier, IdentityLog
from cdp.pipeline.merge import merge_people, unmerge
from cdp.profiles.models import KeepApart, Merge, Profile
from cdp.profiles.people import person_of
from cdp.traits.golden import golden
from tests.sending import message, send

pytestmark = pytest.mark.django_db


def person(name: str) -> Profile:
    found = find_person("user_id", name)
    assert found is not None
    return found


def known(*names: str, **traits: object) -> list[uuid.UUID]:
    for name in names:
        send(message("identify", userId=name, traits={"called": name, **traits}))
    return [person(name).public_id for name in names]


def picture() -> tuple[object, ...]:
    """Everything that a merge could change: who is with whom, under which id, and every golden value."""
    groups = defaultdict(list)
    for digest, person_id in Identifier.objects.order_by("digest").values_list("digest", "profile__person_id"):
        groups[person_id].append(bytes(digest))
    people = dict(Profile.objects.values_list("public_id", "person__public_id"))
    records = {key: golden(key).values for key in groups}
    return dict(groups), people, records


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("latest", "bob"),
        ("oldest", "alice"),
        ("target", "alice"),
        ("source", "bob"),
        ("merge", "alice"),
        ("replace", "bob"),
    ],
)
def test_the_strategies_decide_among_values_older_than_the_merge(strategy: str, expected: str):
    alice, bob = known("alice", "bob")
    result = merge_people(alice, [bob], strategy=strategy, actor="test")
    assert result.person == alice
    assert result.golden.values["called"].value == expected
    assert person_of(bob).public_id == alice
    send(message("identify", userId="alice", traits={"called": "Alice the second"}))
    assert golden(person_of(alice).pk).values["called"].value == "Alice the second"


def test_the_id_of_the_first_created_profile_stays_whichever_is_the_target():
    alice, bob = known("alice", "bob")
    result = merge_people(bob, [alice], strategy="target", actor="test")
    assert result.person == alice
    assert result.golden.values["called"].value == "bob"


def test_a_dry_run_shows_the_same_and_writes_nothing():
    alice, bob = known("alice", "bob")
    before = picture()
    planned = merge_people(alice, [bob], strategy="source", actor="test", dry_run=True)
    assert (picture(), Merge.objects.count(), IdentityLog.objects.filter(kind="merge").count()) == (before, 0, 0)
    done = merge_people(alice, [bob], strategy="source", actor="test")
    assert (planned.person, planned.golden) == (done.person, done.golden)


def test_an_event_cannot_join_again_what_was_unmerged_but_a_person_can():
    send(message("identify", userId="alice"), message(anonymousId="x"), message(userId="alice", anonymousId="x"))
    [merge] = Merge.objects.all()
    people = unmerge(merge.public_id, actor="test")
    assert len(people) == 2
    send(message(userId="alice", anonymousId="x"))
    assert find_person("anonymous_id", "x") != person("alice")
    merge_people(people[0], [people[1]], strategy="latest", actor="test")
    assert find_person("anonymous_id", "x") == person("alice")
    assert list(KeepApart.objects.values_list("lifted_at", flat=True)) != [None]


def test_what_arrived_after_the_merge_goes_where_it_belongs():
    alice, bob = known("alice", "bob")
    result = merge_people(alice, [bob], strategy="latest", actor="test")
    send(message("identify", userId="bob", traits={"city": "Vilnius"}), message(userId="bob"), message(userId="alice"))
    assert golden(person_of(alice).pk).values["city"].value == "Vilnius"
    unmerge(result.merges[0].public_id, actor="test")
    assert "city" not in golden(person_of(alice).pk).values
    assert golden(person_of(bob).pk).values["city"].value == "Vilnius"
    assert (person("alice").event_count, person("bob").event_count) == (2, 3)


def test_wrong_input_is_told_clearly():
    alice, bob = known("alice", "bob")
    with pytest.raises(Invalid, match="merge strategy"):
        merge_people(alice, [bob], strategy="newest", actor="test")
    with pytest.raises(Conflict):
        merge_people(alice, [alice], strategy="latest", actor="test")
    with pytest.raises(NotFound):
        merge_people(alice, [uuid7()], strategy="latest", actor="test")
    [merge] = merge_people(alice, [bob], strategy="latest", actor="test").merges
    unmerge(merge.public_id, actor="test")
    with pytest.raises(Conflict):
        unmerge(merge.public_id, actor="test")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=5),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.sampled_from(["latest", "oldest", "target", "source"]),
)
def test_merge_then_unmerge_is_the_identity(
    before: list[tuple[int, int]], pair: tuple[int, int], strategy: str
) -> None:
    """For chains too: whatever was merged earlier, and with either side."""
    salt = f"{now_us()}"
    ids = known(*(f"{salt}-{n}" for n in range(5)))

    def merge(one: int, other: int) -> uuid.UUID | None:
        if person_of(ids[one]) == person_of(ids[other]):
            return None
        return merge_people(ids[one], [ids[other]], strategy=strategy, actor="test").merges[0].public_id

    for one, other in before:
        merge(one, other)
    picture_before = picture()
    made = merge(*pair)
    if made is not None:
        assert picture() != picture_before
        unmerge(made, actor="test")
    assert picture() == picture_before


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(4)))
def test_merges_are_undone_in_any_order(order: list[int]) -> None:
    salt = f"{now_us()}"
    ids = known(*(f"{salt}-{n}" for n in range(5)))
    start = picture()
    merges = [merge_people(ids[n], [ids[n + 1]], strategy="latest", actor="test").merges[0].public_id for n in range(4)]
    for n in order:
        unmerge(merges[n], actor="test")
    assert picture() == start
