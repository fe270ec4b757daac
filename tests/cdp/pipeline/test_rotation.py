"""Rotating keys: beside running traffic, interrupted and resumed, and nothing is left under the old key."""

from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db.models import BinaryField

from cdp.core.crypto import KeyMissing, Keyring
from cdp.core.errors import Conflict
from cdp.events.body import open_body
from cdp.events.models import Event, QuarantinedMessage, Session
from cdp.identities.lookup import find_person, identifiers_of
from cdp.identities.models import Identifier
from cdp.pipeline.models import InboxMessage
from cdp.pipeline.process import process_inbox
from cdp.pipeline.rotation import SEALED, begin_rotation, retire_old_keys, rotate
from cdp.privacy.models import AccessPackage, Erasure, PrivacyRequest, RequestNote
from cdp.privacy.requests import open_request
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


PLAIN = {
    "access_auditentry": {"salt", "digest", "mark", "chain"},
    "access_audithead": {"chain"},
    "consents_consentrecord": {"event"},
    "events_event": {"digest"},
    "events_quarantinedmessage": {"digest"},
    "events_session": {"key"},
    "identities_identifier": {"digest"},
    "identities_identitylog": {"digest", "event"},
    "identities_quarantinedidentifier": {"digest"},
    "identities_suppressedidentifier": {"digest"},
    "integrations_requestlog": {"customer"},
    "pipeline_inboxmessage": {"digest"},
    "pipeline_seenmessage": {"digest"},
    "privacy_accesspackage": {"token"},
    "privacy_privacyrequest": {"subject", "link"},
    "profiles_merge": {"event", "via_target", "via_source"},
    "widget_api_usednonce": {"digest"},
}
"""Columns of bytes that hold digests and nothing encrypted."""


def test_every_encrypted_column_is_rotated():
    """A column of bytes is either sealed, and then rotation knows it, or is written down here as none."""
    found = {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, BinaryField)
    }
    plain = {(table, column) for table, columns in PLAIN.items() for column in columns}
    sealed = {(sealed.table, sealed.column) for sealed in SEALED} | {("identities_identifier", "body")}
    assert found == plain | sealed
    assert not plain & sealed
    keys = {model._meta.db_table: model._meta.pk.column for model in apps.get_models()}
    assert {(sealed.table, sealed.key) for sealed in SEALED} == {(one.table, keys[one.table]) for one in SEALED}


def test_what_privacy_keeps_reads_as_before():
    """A request with its note and a file, a package, an erasure that runs: under the new key alone."""
    traffic(1)
    person = find_person("user_id", "u0")
    assert person
    request = open_request(
        "access", {"email": "0@x.example"}, regulation="gdpr", channel="api", actor="test", contact="0@x.example"
    )
    ring = django_settings.KEYRING
    note = RequestNote.objects.create(
        request=request, at=1, actor="test", size=4,
        body=ring.encrypt("request", b"name"), content=ring.encrypt("request", b"file"),
    )  # fmt: skip
    package = AccessPackage.objects.create(
        person=person, token=b"t" * 32, created_at=1, expires_at=2, size=1, key=ring.encrypt("package", b"key")
    )
    erasure = Erasure.objects.create(actor="test", started_at=1, subject=ring.encrypt("erasure", b"whom"))
    before = bytes(PrivacyRequest.objects.get().body)
    plain = ring.decrypt("request", before)
    version = begin_rotation()
    rotate(version, progress=silent)
    assert retire_old_keys(version) == [1]
    assert bytes(PrivacyRequest.objects.get().body) != before
    assert ring.decrypt("request", PrivacyRequest.objects.get().body) == plain
    for row in (note, package, erasure):
        row.refresh_from_db()
    assert (ring.decrypt("request", note.body), ring.decrypt("request", note.content)) == (b"name", b"file")
    assert (ring.decrypt("package", package.key), ring.decrypt("erasure", erasure.subject)) == (b"key", b"whom")


def stop_after(table: str, rows: int) -> Any:
    def step(name: str, done: int, total: int) -> None:
        if name == table and done >= rows:
            raise RuntimeError("stopped")

    return step
