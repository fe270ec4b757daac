"""Carrying requests out: with the real package and the real erasure, once, and partial is never called done."""

import re
import subprocess

import pytest
from django.core import mail
from django.test import Client

from cdp.access.models import AuditEntry
from cdp.core.clock import now_us
from cdp.core.errors import Conflict
from cdp.core.holder import holder_name
from cdp.privacy import carrying
from cdp.privacy.carrying import LEASE, NOBODY, carry_out, continue_requests, start
from cdp.privacy.erase import continue_erasures
from cdp.privacy.holds import place_hold, release_hold
from cdp.privacy.models import AccessPackage, Erasure, PrivacyRequest, RequestNote
from cdp.privacy.notes import add_file, add_note
from cdp.privacy.package import remove_expired_packages
from cdp.privacy.package_link import package_link
from cdp.privacy.request_body import open_body
from cdp.privacy.request_mail import send_waiting
from cdp.privacy.requests import open_request, verify_request
from cdp.profiles.models import Profile
from tests import factories as make

pytestmark = pytest.mark.django_db

EMAIL = "zelda@quixmail.example"


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def zelda():
    """One person of two profiles."""
    first, second = make.profile(), make.profile()
    make.identifier(first, "user_id", "zelda")
    make.identifier(second, "email", EMAIL)
    make.traits(first, firstName="Zeldaquix")
    make.event(second, "Signed In", properties={"by": EMAIL})
    make.merge(first, second)
    return first


def verified(kind, changes=None, **identifiers):
    request = open_request(
        kind, identifiers or {"user_id": "zelda"}, regulation="gdpr", channel="api", actor="key:1", changes=changes,
    )  # fmt: skip
    return verify_request(request, by="user:1", how="document")


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_a_package_whose_link_is_mailed(zelda, kind):
    request = carry_out(verified(kind), actor="user:1")
    assert (request.status, request.holder, request.ended_at is not None) == ("completed", "", True)
    link = package_link(request, open_body(request))
    assert send_waiting() == 1
    message = mail.outbox[-1]
    assert (message.to, link in message.body) == ([EMAIL], True)
    path = re.search(r"/privacy/packages/\S+", message.body)[0]
    assert Client().get(path).status_code == 200
    assert AccessPackage.objects.get().request == request


def test_what_takes_long_is_left_to_the_worker(zelda):
    request = start(verified("access"), actor="user:1")
    assert (request.status, AccessPackage.objects.count()) == ("running", 0)
    with pytest.raises(Conflict, match="in progress"):
        start(request, actor="user:1")
    assert continue_requests() == 1
    request.refresh_from_db()
    assert (request.status, AccessPackage.objects.count()) == ("completed", 1)
    assert continue_requests() == 0


def test_a_deletion_keeps_nothing_about_whom(zelda):
    request = verified("deletion")
    other = open_request("access", {"email": EMAIL}, regulation="gdpr", channel="api", actor="key:1")
    add_note(request, "Zeldaquix called.", actor="user:1")
    add_file(request, "zelda.txt", b"Zeldaquix", actor="user:1")
    done = carry_out(request, actor="user:1")
    erasure = Erasure.objects.get()
    assert (done.status, done.outcome) == ("completed", f"Erased and proven: receipt {erasure.public_id}.")
    assert (done.body, done.person_id, done.subject, done.link, RequestNote.objects.count()) == (
        None,
        None,
        None,
        None,
        0,
    )
    assert (done.kind, done.created_at > 0, done.verified_by, erasure.request) == ("deletion", True, "user:1", done)
    assert Profile.objects.count() == 0
    other.refresh_from_db()
    assert (other.body, other.person_id, other.link, other.mail) == (None, None, None, "")
    assert send_waiting() == 0
    with pytest.raises(Conflict, match="erased"):
        add_note(done, "Who was it?", actor="user:1")


def test_a_legal_hold_stops_a_deletion_and_nothing_else(zelda):
    hold = place_hold(zelda, reason="Case 7", actor="user:1")
    request = verified("deletion")
    with pytest.raises(Conflict) as refused:
        carry_out(request, actor="user:1")
    request.refresh_from_db()
    assert (refused.value.code, request.status, Erasure.objects.count()) == ("legal_hold", "pending", 0)
    assert carry_out(verified("access"), actor="user:1").status == "completed"
    release_hold(hold, actor="user:1", why="Over")
    assert carry_out(request, actor="user:1").status == "completed"


def test_a_hold_that_comes_after_the_start_stops_it_too(zelda):
    request = start(verified("deletion"), actor="user:1")
    place_hold(zelda, reason="Case 7", actor="user:1")
    assert continue_requests() == 1
    request.refresh_from_db()
    assert (request.status, request.outcome) == ("pending", "Could not be carried out: legal hold.")
    assert (Erasure.objects.count(), Profile.objects.count()) == (0, 2)


@pytest.mark.parametrize("kind", PrivacyRequest.Kind.values)
def test_nobody_known_is_an_honest_answer(kind):
    changes = {"traits": {"city": "Kaunas"}} if kind == "rectification" else None
    request = carry_out(verified(kind, changes, email="nobody@example.com"), actor="user:1")
    assert (request.status, request.outcome) == ("completed", NOBODY)
    assert (request.body is None) == (kind == "deletion")


def test_who_is_known_only_later_is_found(zelda):
    request = verified("access", user_id="later")
    make.identifier(zelda, "user_id", "later", linking=False)
    assert carry_out(request, actor="user:1").outcome != NOBODY


def test_nothing_is_carried_out_before_verification(zelda):
    for kind in ("access", "deletion", "objection"):
        request = open_request(kind, {"user_id": "zelda"}, regulation="gdpr", channel="api", actor="key:1")
        with pytest.raises(Conflict, match="waits for verification"):
            carry_out(request, actor="user:1")
    assert (AccessPackage.objects.count(), Profile.objects.count()) == (0, 2)


def test_partial_is_never_called_done(zelda):
    request = verified("deletion")
    erasure = Erasure.objects.create(
        request=request, actor="user:1", started_at=1, status=Erasure.Status.PARTIAL, steps={}
    )
    done = carry_out(request, actor="user:1")
    assert (done.status, done.ended_at, done.body is None) == ("partial", None, False)
    Erasure.objects.filter(pk=erasure.pk).update(status=Erasure.Status.DONE)
    PrivacyRequest.objects.update(held_until=0)
    assert continue_requests() == 1
    done.refresh_from_db()
    assert (done.status, done.body) == ("completed", None)
    assert continue_erasures() == 0


def test_what_a_killed_process_made_is_not_left(zelda, settings):
    request = start(verified("access"), actor="user:1")
    carrying.make_package(zelda, request=request, actor="user:1", why="killed before it could say so")
    assert continue_requests() == 1
    request.refresh_from_db()
    link = package_link(request, open_body(request))
    remove_expired_packages(0)
    assert AccessPackage.objects.filter(key__isnull=False).count() == 1
    assert len(list((settings.DATA_DIR / "packages").iterdir())) == 1
    assert Client().get(re.search(r"/privacy/packages/\S+", link)[0]).status_code == 200


def test_a_process_that_lives_is_left_at_it_and_one_that_is_gone_is_not_waited_for(zelda):
    request = start(verified("access"), actor="user:1")
    held = PrivacyRequest.objects.filter(pk=request.pk)
    held.update(holder=holder_name(), held_until=now_us() + LEASE)
    assert continue_requests() == 0
    gone = subprocess.Popen(["true"])
    gone.wait()
    machine, _, rest = holder_name().partition(":")
    held.update(holder=f"{machine}:{gone.pid}:{rest.partition(':')[2]}")
    assert continue_requests() == 1
    request.refresh_from_db()
    assert request.status == "completed"


def test_an_error_is_told_and_tried_again(zelda, monkeypatch, time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    request = start(verified("access"), actor="user:1")
    with monkeypatch.context() as broken:
        broken.setattr(carrying, "make_package", _full)
        assert continue_requests() == 1
        request.refresh_from_db()
        assert (request.status, request.outcome) == (
            "running", "Stopped by OSError; it is tried again by itself.",
        )  # fmt: skip
        assert continue_requests() == 0
    time_machine.shift(61)
    assert continue_requests() == 1
    request.refresh_from_db()
    assert request.status == "completed"


def _full(*_args, **_named):
    raise OSError(28, "No space left on device")


def test_no_entry_of_the_audit_names_the_person(zelda):
    carry_out(verified("rectification", {"traits": {"firstName": "Zeldaquix2"}}), actor="user:1")
    carry_out(verified("deletion", email=EMAIL), actor="user:1")
    said = repr(list(AuditEntry.objects.values()))
    assert "elda" not in said
