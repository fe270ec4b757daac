"""Whoever follows the store by fences misses nothing: every write that changes a person is found by its number."""

import uuid
from collections.abc import Callable

import pytest

from cdp.identities.lookup import find_person
from cdp.pipeline.api.consents import state_preferences
from cdp.pipeline.identify import add_identifier, verify_identifier
from cdp.pipeline.lease import database, fence_of
from cdp.pipeline.merge import merge_people, unmerge
from cdp.pipeline.write_traits import TraitWrite, delete_trait, set_traits
from cdp.privacy.erase import delete_at_once
from cdp.profiles.models import DeletedProfile, Profile
from tests.factories import source
from tests.sending import message, send

pytestmark = pytest.mark.django_db


def known(name: str, **traits: object) -> Profile:
    send(message("identify", userId=name, traits={"called": name, **traits}))
    found = find_person("user_id", name)
    assert found is not None
    return found


def since(column: str, fence: int) -> set[int]:
    return set(Profile.objects.filter(**{f"{column}__gt": fence}).values_list("pk", flat=True))


def fence() -> int:
    return fence_of(database())


def test_an_event_touches_and_a_trait_describes():
    alice, bob = known("alice"), known("bob")
    before = fence()
    send(message(event="Looked", userId="alice"))
    assert since("touched", before) == {alice.pk}
    assert since("described", before) == set()
    send(message("identify", userId="bob", traits={"plan": "pro"}))
    assert since("touched", before) == {alice.pk, bob.pk}
    assert since("described", before) == {bob.pk}


def test_the_numbers_are_never_ahead_of_the_fence():
    alice = known("alice", plan="pro")
    assert (alice.touched, alice.described) == (fence(), fence())


def test_a_merge_by_an_event_describes_every_profile_of_both():
    send(message(event="Looked", anonymousId="visitor"))
    alice = known("alice")
    visitor = find_person("anonymous_id", "visitor")
    assert visitor is not None
    before = fence()
    send(message("identify", anonymousId="visitor", userId="alice"))
    assert since("described", before) == {alice.pk, visitor.pk}


def source_ref():
    from cdp.access.source import SourceRef

    return SourceRef.of(source())


WRITES: dict[str, Callable[[uuid.UUID], object]] = {
    "set a trait": lambda id_: set_traits(id_, [TraitWrite("plan", "pro")], source=source_ref()),
    "delete a trait": lambda id_: delete_trait(id_, "called"),
    "state a consent": lambda id_: state_preferences(str(id_), {"email": True}, actor="test"),
    "add an identifier": lambda id_: add_identifier(id_, "email", "a@example.com", actor="test"),
    "verify an identifier": lambda id_: verify_identifier(id_, "user_id", "alice"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_by_request_describes_its_profile(write: Callable[[uuid.UUID], object]):
    alice, _bob = known("alice"), known("bob")
    before = fence()
    write(alice.public_id)
    assert since("described", before) == since("touched", before) == {alice.pk}
    assert max(Profile.objects.values_list("described", flat=True)) <= fence()


def test_merging_and_unmerging_by_request_describes_both():
    alice, bob, _other = known("alice"), known("bob"), known("carol")
    before = fence()
    merges = merge_people(alice.public_id, [bob.public_id], strategy="latest", actor="test").merges
    assert since("described", before) == {alice.pk, bob.pk}
    before = fence()
    unmerge(merges[0].public_id, actor="test")
    assert since("described", before) == since("touched", before) == {alice.pk, bob.pk}


def test_a_deleted_profile_is_found_too():
    alice, bob = known("alice"), known("bob")
    merge_people(alice.public_id, [bob.public_id], strategy="latest", actor="test")
    before = fence()
    delete_at_once([alice], actor="test")
    gone = DeletedProfile.objects.filter(deleted_in__gt=before).values_list("profile_id", flat=True)
    assert set(gone) == {alice.pk, bob.pk}
