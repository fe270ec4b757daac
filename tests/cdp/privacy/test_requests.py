"""Opening requests, whom they mean, their deadlines, and that of two at once one is made."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from cdp.access.models import AuditEntry
from cdp.core.clock import DAY
from cdp.core.errors import Conflict, Invalid
from cdp.privacy.deadlines import days_left
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.request_body import open_body
from cdp.privacy.requests import cancel_request, extend_request, open_request, reject_request, verify_request
from cdp.privacy.subject import person_now, subject_of
from tests import factories as make

pytestmark = pytest.mark.django_db

EVERY = {
    "userId": ("user_id", "user123"), "customer_id": ("user_id", "user123"), "email": ("email", "ada@example.com"),
    "phone": ("phone", "+37061234567"), "external:shopify": ("external", "77"), "deviceId": ("device_id", "d-1"),
    "cookieId": ("cookie_id", "c-1"), "anonymous_id": ("anonymous_id", "a-1"), "sessionId": ("session_id", "s-1"),
    "ip_address": ("ip_address", "192.0.2.7"),
}  # fmt: skip


@pytest.fixture
def ada():
    """One person of two profiles, with an identifier of each type."""
    first, second = make.profile(), make.profile()
    for name, (code, value) in EVERY.items():
        if name != "customer_id":
            make.identifier(second, code, value, namespace=name.partition(":")[2])
    make.merge(first, second)
    return first


def asked(kind="access", regulation="gdpr", changes=None, **identifiers):
    return open_request(
        kind, identifiers or {"user_id": "user123"}, regulation=regulation, channel="api", actor="key:1",
        changes=changes,
    )  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_any_identifier_means_the_whole_person(ada, name):
    assert subject_of({name: EVERY[name][1]}).person == ada


def test_the_id_of_any_profile_means_the_whole_person(ada):
    for fragment in ada.fragments.all():
        assert subject_of({"profileId": str(fragment.public_id)}).person == ada


def test_several_identifiers_must_mean_one_person(ada):
    other = make.profile()
    make.identifier(other, "email", "other@example.com")
    assert subject_of({"userId": "user123", "email": "ADA@example.com", "phone": "8 612 34567"}).person == ada
    with pytest.raises(Conflict) as refused:
        asked(userId="user123", email="other@example.com")
    assert refused.value.code == "different_people"
    assert PrivacyRequest.objects.count() == 0


def test_one_that_several_were_seen_with_means_nobody(ada):
    other = make.profile()
    make.identifier(other, "ip_address", "192.0.2.7")
    with pytest.raises(Conflict) as refused:
        asked(ipAddress="192.0.2.7")
    assert refused.value.code == "ambiguous_identifier"


@pytest.mark.parametrize(
    ("identifiers", "code"),
    [
        ({"shoeSize": "44"}, "unknown_identifier_type"),
        ({"email": "not an address"}, "unusable_identifier"),
        ({"userId": "null"}, "unusable_identifier"),
        ({"userId": "x" * 201}, "unusable_identifier"),
        ({f"external:{n}": "1" for n in range(21)}, "no_identifier"),
        ({"userId": "a", "user_id": "b"}, "different_people"),
    ],
)
def test_what_cannot_be_an_identifier(identifiers, code):
    with pytest.raises(Invalid) as refused:
        asked(**identifiers)
    assert refused.value.code == code


def test_nobody_known_is_a_request_all_the_same_and_may_become_known():
    request = asked(email="new@example.com")
    assert (request.person, bytes(request.subject) != b"") == (None, True)
    assert b"new@example.com" not in bytes(request.body)
    later = make.profile()
    make.identifier(later, "email", "new@example.com")
    assert person_now(request, open_body(request).identifiers) == later


def test_what_is_kept_in_clear_names_nobody(ada):
    request = asked(email="ada@example.com")
    row = PrivacyRequest.objects.filter(pk=request.pk).values().get()
    clear = {name: value for name, value in row.items() if name not in ("body", "subject")}
    assert "ada" not in repr(clear)
    assert "ada" not in repr(list(AuditEntry.objects.values()))


class TestTheSameAgain:
    def test_the_open_one_is_the_answer(self, ada):
        first = asked()
        again = asked(email="ada@example.com")
        assert (again.pk, again.duplicate, first.duplicate) == (first.pk, True, False)
        assert asked(kind="portability").pk != first.pk
        assert PrivacyRequest.objects.count() == 2

    def test_after_a_merge_too(self):
        one, two = make.profile(), make.profile()
        make.identifier(one, "user_id", "one")
        make.identifier(two, "user_id", "two")
        first = asked(userId="two")
        make.merge(one, two)
        assert asked(userId="one").pk == first.pk

    def test_of_nobody_known(self):
        first = asked(email="new@example.com", userId="new")
        assert asked(userId="new", email="New@example.com").pk == first.pk
        assert asked(userId="other").pk != first.pk
        later = make.profile()
        make.identifier(later, "user_id", "new")
        assert asked(userId="new", email="new@example.com").pk == first.pk

    def test_not_once_it_has_ended(self, ada):
        first = asked()
        cancel_request(first, actor="user:1")
        assert asked().pk != first.pk

    def test_by_the_id_of_whoever_sent_it(self, ada):
        given = {"regulation": "gdpr", "channel": "opendsr", "actor": "key:1"}
        first = open_request("deletion", {"userId": "user123"}, external_id="x-1", **given)
        assert open_request("deletion", {"userId": "user123"}, external_id="x-1", **given).pk == first.pk
        assert open_request("deletion", {"userId": "user123"}, external_id="x-2", **given).pk != first.pk


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [True, False])
def test_of_many_at_once_one_is_made(known):
    if known:
        make.identifier(make.profile(), "user_id", "user123")
    threads = 8
    together = threading.Barrier(threads)

    def open_one(_number):
        try:
            together.wait(30)
            return asked().duplicate
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(open_one, range(threads)))
    assert sorted(answers) == [False] + [True] * (threads - 1)
    assert PrivacyRequest.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_steps_at_once_one_is_taken():
    request = asked()
    together = threading.Barrier(6)

    def take(number):
        try:
            together.wait(30)
            if number % 2:
                verify_request(request, by="user:1", how="call")
            else:
                reject_request(request, actor="user:1", reason="No")
        except Conflict:
            return "refused"
        finally:
            connections.close_all()
        return "verify" if number % 2 else "reject"

    with ThreadPoolExecutor(6) as pool:
        answers = [answer for answer in pool.map(take, range(6)) if answer != "refused"]
    # A request that was verified may still be rejected; nothing may follow a rejection.
    assert answers in (["verify"], ["reject"]) or sorted(answers) == ["reject", "verify"]
    request.refresh_from_db()
    assert request.status == ("rejected" if "reject" in answers else "pending")
    assert AuditEntry.objects.filter(action__in=("verify", "reject")).count() == len(answers)


@pytest.mark.parametrize(("regulation", "days", "most"), [("gdpr", 30, 60), ("ccpa", 45, 45)])
def test_deadlines(time_machine, regulation, days, most):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    request = asked(regulation=regulation)
    assert request.due_at - request.created_at == days * DAY
    assert days_left(request, now=request.created_at) == days
    assert [days_left(request, now=request.due_at + late) for late in (-DAY, -1, 0, 1, DAY + 1)] == [1, 0, 0, -1, -2]
    with pytest.raises(Invalid, match=f"1 to {most} days"):
        extend_request(request, days=most + 1, actor="user:1", reason="Many")
    with pytest.raises(Invalid, match="`reason`"):
        extend_request(request, days=1, actor="user:1", reason=" ")
    longer = extend_request(request, days=most, actor="user:1", reason="Many requests at once")
    assert longer.due_at - request.created_at == (days + most) * DAY
    with pytest.raises(Conflict, match="allowed once"):
        extend_request(request, days=1, actor="user:1", reason="Again")


def test_deadlines_are_the_installation_s(settings):
    settings.PRIVACY_DAYS_GDPR = 10
    request = asked()
    assert request.due_at - request.created_at == 10 * DAY


@pytest.mark.parametrize(
    ("kind", "changes", "code"),
    [
        ("rectification", None, "no_changes"),
        ("rectification", {"traits": {}}, "no_changes"),
        ("rectification", {"traits": {"": 1}}, "bad_trait_key"),
        ("rectification", {"traits": {str(n): n for n in range(101)}}, "too_many_changes"),
        ("rectification", {"traits": {"a": "x" * 40_000}}, "too_many_changes"),
        ("rectification", {"identifiers": {"email": "nonsense"}}, "unusable_identifier"),
        ("rectification", {"identifiers": {"profileId": "7"}}, "unwanted_changes"),
        ("rectification", {"traits": 7}, "invalid"),
        ("objection", {"purposes": ["nonsense"]}, "unknown_purpose"),
        ("objection", {"traits": {"a": 1}}, "unwanted_changes"),
        ("access", {"traits": {"a": 1}}, "unwanted_changes"),
        ("erasure", None, "unknown_type"),
    ],
)
def test_what_cannot_be_wanted(kind, changes, code):
    with pytest.raises(Invalid) as refused:
        asked(kind=kind, changes=changes)
    assert refused.value.code == code


def test_an_objection_names_purposes_and_groups_whatever_their_case(ada):
    request = asked(kind="objection", changes={"purposes": ["marketing_email", "Analytics"]})
    purposes = open_body(request).changes["purposes"]
    assert "MARKETING_EMAIL" in purposes
    assert len(purposes) > 1
    assert "MARKETING_SMS" not in purposes
