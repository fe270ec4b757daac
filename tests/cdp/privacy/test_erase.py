"""Erasing a person: every store, the proof, the receipt."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cdp.access.audit import record_change
from cdp.access.models import AuditEntry
from cdp.access.source import source_named
from cdp.consents.ledger import record_consent
from cdp.consents.models import ConsentRecord
from cdp.core.errors import Conflict, NotFound
from cdp.events.models import Event, QuarantinedMessage
from cdp.history.export import flush
from cdp.identities.lookup import find_person
from cdp.identities.models import IdentityLog, SuppressedIdentifier
from cdp.pipeline.accept import accept
from cdp.pipeline.lease import exclusive
from cdp.privacy.erase import begin_erasures, continue_erasures, erase_people, erase_person, erasures_wait
from cdp.privacy.holds import place_hold
from cdp.privacy.models import Erasure
from cdp.privacy.proof import verify_receipt
from cdp.profiles.models import Profile
from tests.sending import deliver, message, send

pytestmark = pytest.mark.django_db


def person(name: str) -> Profile:
    found = find_person("user_id", name)
    assert found is not None
    return found


def population() -> None:
    """Ada and Bob, who share a device; everything about them in hot tables and in the lake."""
    for name in ("ada", "bob"):
        send(
            message("identify", userId=f"user-{name}", anonymousId=f"visitor-{name}",
                    traits={"email": f"{name}@example.com", "phone": f"+3706111111{ord(name[0]) % 10}",
                            "firstName": name},
                    context={"device": {"id": "shared-device"}, "externalIds": [{"type": "crm", "id": f"crm-{name}"}]}),
            message(event=f"by {name}", userId=f"user-{name}", anonymousId=f"visitor-{name}"),
        )  # fmt: skip
    flush()
    send(message(event="later", userId="user-ada"))


def test_nothing_of_the_person_is_left_and_everything_of_the_other() -> None:
    population()
    ada, bob = person("user-ada"), person("user-bob")
    record_change("test", action="read", object_type="profile", object_ids=[ada.public_id, bob.public_id], fields=["x"])
    done = erase_person(ada, request=None, actor="test")
    assert (done.status, done.steps) == (Erasure.Status.DONE, done.steps)
    receipt = done.receipt
    assert receipt is not None
    assert find_person("user_id", "user-ada") is None
    assert find_person("user_id", "user-bob") == bob
    assert receipt["erased"]["events_event"] == 3
    assert receipt["erased"]["lake events"] == 2
    assert verify_receipt(receipt).holds
    [entry] = AuditEntry.objects.filter(action="read")
    assert entry.object_ids == ["erased", str(bob.public_id)]
    assert SuppressedIdentifier.objects.count() == 4


def test_messages_that_wait_go_and_those_that_come_later_are_not_stored() -> None:
    population()
    deliver(
        message(event="waits", userId="user-ada"),
        message(event="waits without a name", anonymousId="visitor-ada"),
        message(event="of her device", anonymousId="visitor-new", context={"device": {"id": "shared-device"}}),
        message(event="of bob", userId="user-bob", anonymousId="visitor-ada"),
    )
    receipt = erase_person(person("user-ada"), request=None, actor="test").receipt
    assert receipt is not None
    assert receipt["erased"]["pipeline_inboxmessage"] == 3
    send(message(event="comes late", userId="user-ada"), message("identify", traits={"email": "ADA@example.com "}))
    assert set(Event.objects.values_list("name", flat=True)) == {
        "identify", "by bob", "of bob",
    }  # fmt: skip
    assert verify_receipt(receipt).holds


def test_what_cannot_be_read_as_a_message_goes_too() -> None:
    population()
    texts = (
        b'{"type":"nonsense","who":"ada@example.com"}',
        b"not json: crm-ada, yes",
        b'{"type":"x","who":"crm-adam"}',
    )
    accept(list(texts),
           source=source_named("shop"), received=1)  # fmt: skip
    assert QuarantinedMessage.objects.count() == 3
    receipt = erase_person(person("user-ada"), request=None, actor="test").receipt
    assert receipt is not None
    assert (receipt["erased"]["events_quarantinedmessage"], QuarantinedMessage.objects.count()) == (2, 1)


def test_a_legal_hold_refuses_and_changes_nothing() -> None:
    population()
    ada, bob = person("user-ada"), person("user-bob")
    place_hold(ada, reason="case 1", actor="test")
    for people in ([ada], [bob, ada]):
        with pytest.raises(Conflict) as refused:
            erase_people(people, actor="test")
        assert refused.value.code == "legal_hold"
    assert (Erasure.objects.count(), SuppressedIdentifier.objects.count(), Profile.objects.count()) == (0, 0, 2)
    assert Event.objects.count() == 5


def test_several_at_once_have_receipts_of_their_own() -> None:
    population()
    rows = erase_people([person("user-ada"), person("user-bob")], actor="test")
    assert [row.status for row in rows] == ["done", "done"]
    erased = [row.receipt["erased"]["events_event"] for row in rows if row.receipt]
    assert (erased, Profile.objects.count(), Event.objects.count()) == ([3, 2], 0, 0)
    assert continue_erasures(at_once=True) == 0


def test_one_who_is_erased_already_gets_the_erasure_that_runs() -> None:
    population()
    ada = person("user-ada")
    [first] = begin_erasures([ada], actor="test")
    [second] = begin_erasures([ada], actor="other")
    assert (first.pk, Erasure.objects.count()) == (second.pk, 1)
    assert continue_erasures() == 1
    with pytest.raises(NotFound):
        erase_person(ada, request=None, actor="test")


def test_a_lake_that_cannot_be_read_is_partial_and_never_done(settings: Any) -> None:
    population()
    whole = settings.LAKE_URL
    broken = Path(whole + "-broken")
    shutil.copytree(whole, broken)
    settings.LAKE_URL = str(broken)
    for path in broken.rglob("*.parquet"):
        path.write_bytes(b"damaged")
    row = erase_person(person("user-ada"), request=None, actor="test")
    assert (row.status, row.receipt) == ("partial", None)
    assert row.steps["store"]["done"]
    assert "lake" in row.steps["lake"]["problem"].lower()
    assert find_person("user_id", "user-ada") is None
    assert (erasures_wait(), continue_erasures()) == (False, 0)
    settings.LAKE_URL = whole
    assert continue_erasures(at_once=True) == 1
    row.refresh_from_db()
    assert (row.status, row.subject) == ("done", None)
    assert row.receipt is not None
    assert row.receipt["erased"]["lake events"] == 2
    assert verify_receipt(row.receipt).holds


def test_the_ledger_keeps_that_it_happened() -> None:
    population()
    ada = person("user-ada")
    with exclusive():
        record_consent(ada.pk, "MARKETING_EMAIL", granted=True, at=5, ip="203.0.113.9", source="form")
    erase_person(ada, request=None, actor="test")
    [row] = ConsentRecord.objects.all()
    assert (row.profile_id, row.type, row.granted, row.at, row.body, row.source) == (
        0, "MARKETING_EMAIL", True, 5, None, "",
    )  # fmt: skip
    assert IdentityLog.objects.filter(rule="erasure", profile_id=None).count() == 1


def test_who_reached_an_age_may_return() -> None:
    population()
    [row] = erase_people([person("user-ada")], actor="retention", returns=True)
    assert row.receipt is not None
    assert (row.receipt["subject"]["suppressed"], SuppressedIdentifier.objects.count()) == ([], 0)
    send(message(event="is back", userId="user-ada"))
    assert verify_receipt(row.receipt).holds
    assert person("user-ada").event_count == 1


def test_erasing_costs_the_same_number_of_statements_for_many() -> None:
    send(*(message(event="x", userId=f"u{n}", anonymousId=f"v{n}") for n in range(41)))
    flush()
    with CaptureQueriesContext(connection) as one:
        erase_person(person("u40"), request=None, actor="test")
    with CaptureQueriesContext(connection) as many:
        erase_people([person(f"u{n}") for n in range(40)], actor="test")
    assert len(many) - len(one) < 40 * 16
