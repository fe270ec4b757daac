"""Rotating keys: beside running traffic, interrupted and resumed, and nothing is left under the old key."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from cdp.core.crypto import KeyMissing, Keyring
from cdp.core.errors import Conflict
from cdp.events.body import open_body
from cdp.events.models import Event, QuarantinedMessage, Session
from cdp.identities.lookup import find_person, identifiers_of
from cdp.identities.models import Identifier
from cdp.pipeline.models import InboxMessage
from cdp.pipeline.process import process_inbox
from cdp.pipeline.rotation import begin_rotation, retire_old_keys, rotate
from cdp.profiles.models import Profile
from cdp.traits.golden import golden
from tests.sending import deliver, message, send

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ring(tmp_path: Path, settings: Any) -> Keyring:
    settings.KEYRING = Keyring.load(tmp_path / "keys.json")
    return settings.KEYRING


def silent(table: str, done: int, total: int) -> None:
    pass


def traffic(count: int) -> None:
    send(
        *(
            message("identify", userId=f"u{n}", anonymousId=f"a{n}", traits={"email": f"{n}@x.example"})
            for n in range(count)
        ),
        message(userId="null"),
        message(anonymousId="a1", context={"sessionId": "s"}),
    )


def test_everything_reads_as_before_and_the_old_key_can_go(ring: Keyring):
    traffic(30)
    deliver(message(userId="u1", event="Waiting"))
    person = find_person("email", "7@x.example")
    assert person
    version = begin_rotation()
    rotate(version, progress=silent)
    assert retire_old_keys(version) == [1]
    assert ring.versions == (2,)
    assert find_person("email", "7@x.example") == person
    assert [view.value for view in identifiers_of(person.pk)] == ["u7", "7@x.example", "a7"]
    assert golden(person.pk).values["email"].value == "7@x.example"
    assert {row.key_version for row in Identifier.objects.all()} == {2}
    for body in Event.objects.values_list("body", flat=True):
        assert open_body(body).message_id
    assert process_inbox() == 1
    assert Event.objects.filter(name="Waiting").count() == QuarantinedMessage.objects.count() == 1


def test_traffic_finds_its_people_in_the_middle_of_a_rotation():
    traffic(30)
    version = begin_rotation()
    send(message(userId="u1", anonymousId="a1", traits=None), message(anonymousId="a1", context={"sessionId": "s"}))
    with pytest.raises(RuntimeError):
        rotate(version, progress=stop_after("identities_identifier", 1))
    send(message("identify", userId="u2", anonymousId="new", traits={"email": "2@x.example"}))
    assert Profile.objects.count() == 30
    assert Session.objects.exclude(key=None).count() == 1
    with pytest.raises(Conflict):
        retire_old_keys(version)
    assert begin_rotation() == version
    rotate(version, progress=silent)
    retire_old_keys(version)
    assert Profile.objects.count() == 30
    assert find_person("anonymous_id", "new") == find_person("email", "2@x.example")


def test_it_goes_on_where_it_was_stopped(monkeypatch: pytest.MonkeyPatch):
    from cdp.pipeline import rotation

    monkeypatch.setattr(rotation, "CHUNK", 7)
    traffic(20)
    version = begin_rotation()
    with pytest.raises(RuntimeError):
        rotate(version, progress=stop_after("events_event", 10))
    sealed = [bytes(body)[0] for body in Event.objects.order_by("id").values_list("body", flat=True)]
    assert sealed[:7] == [2] * 7
    assert sealed[14:] == [1] * (len(sealed) - 14)
    assert begin_rotation() == version
    rotate(version, progress=silent)
    assert retire_old_keys(version) == [1]


def test_a_worker_that_does_not_know_the_new_key_learns_it(tmp_path: Path, settings: Any):
    traffic(3)
    stale = Keyring.load(tmp_path / "keys.json")
    version = begin_rotation()
    rotate(version, progress=silent)
    retire_old_keys(version)
    settings.KEYRING = stale
    send(message(userId="u1"))
    assert Profile.objects.count() == 3
    assert django_settings.KEYRING.current == version


def test_a_value_under_a_retired_key_is_quarantined_not_lost():
    deliver(message(userId="u1"))
    body = bytes(InboxMessage.objects.get().body)
    version = begin_rotation()
    rotate(version, progress=silent)
    retire_old_keys(version)
    InboxMessage.objects.update(body=body)
    process_inbox()
    assert list(QuarantinedMessage.objects.values_list("code", flat=True)) == ["key_missing"]
    with pytest.raises(KeyMissing):
        django_settings.KEYRING.decrypt("message", body)


def stop_after(table: str, rows: int) -> Any:
    def step(name: str, done: int, total: int) -> None:
        if name == table and done >= rows:
            raise RuntimeError("stopped")

    return step
