"""Somebody who was erased does not come back by the API (IDENTITY.md rule 14)."""

import pytest

from cdp.consents.models import ConsentRecord
from cdp.events.models import Event, QuarantinedMessage
from cdp.identities.lookup import find_person
from cdp.identities.models import Identifier, SuppressedIdentifier
from cdp.pipeline.process import process_inbox
from cdp.profiles.models import Profile
from tests.cdp.pipeline.api.test_quarantine import NAMELESS, quarantine
from tests.factories import suppress


@pytest.fixture
def erased(db: None) -> SuppressedIdentifier:
    return suppress("email", "jane@example.com")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("profiles", {"attributes": {"email": "Jane@example.com"}}),
        ("identities/{alice}", {"identityType": "EMAIL", "identityValue": "JANE@example.com"}),
        ("traits/{alice}", {"traitKey": "email", "traitValue": " jane@example.com", "traitType": "DEMOGRAPHIC"}),
    ],
)
def test_a_write_that_names_an_erased_person_is_refused(api, alice, erased, path, body):
    known = Profile.objects.count(), Identifier.objects.count()
    status, answer = api.post(path.format(alice=alice), body)
    assert (status, answer["code"]) == (409, "suppressed")
    assert "jane" not in str(answer).lower()
    assert (Profile.objects.count(), Identifier.objects.count()) == known
    SuppressedIdentifier.objects.update(lifted_at=1)
    assert api.post(path.format(alice=alice), body)[0] in (200, 201)


def test_an_update_is_refused_whole(api, alice, erased):
    status, answer = api.put(f"profiles/{alice}", {"attributes": {"city": "Vilnius", "email": "jane@example.com"}})
    assert (status, answer["code"]) == (409, "suppressed")
    assert "city" not in api.get(f"profiles/{alice}")[1]["attributes"]


def test_a_replay_is_refused_and_the_message_stays(api, erased):
    [row] = quarantine(NAMELESS)
    corrected = {"type": "track", "userId": "u1", "event": "x", "context": {"traits": {"email": "jane@example.com"}}}
    status, answer = api.post(f"quarantine/{row}/replay", {"message": corrected})
    assert (status, answer["code"]) == (409, "suppressed")
    assert QuarantinedMessage.objects.get().status == "open"
    assert api.post(f"quarantine/{row}/replay", {"message": {**corrected, "context": {}}})[0] == 200
    process_inbox()
    assert Event.objects.count() == 1


def test_an_event_that_was_stopped_says_so(api, alice):
    person = find_person("user_id", "alice") or Profile.objects.get(public_id=alice)
    ConsentRecord.objects.create(profile=person, type="DATA_PROCESSING", granted=False, at=1)
    _, tracked = api.post("events", {"customerId": alice, "eventName": "Looked"})
    process_inbox()
    status, answer = api.get(f"events/{tracked['id']}/why")
    assert (status, answer["code"]) == (404, "event_not_stored")
    assert "consent" in answer["message"]


def test_a_profile_of_somebody_who_withdrew_processing_is_not_written(api, alice):
    body = {"externalIds": {"customerId": "c-77"}, "attributes": {"city": "Vilnius"}}
    assert api.post("profiles", body)[0] == 201
    ConsentRecord.objects.create(profile=find_person("user_id", "c-77"), type="DATA_PROCESSING", granted=False, at=1)
    status, answer = api.post("profiles", body)
    assert (status, answer["code"]) == (409, "consent_withdrawn")
