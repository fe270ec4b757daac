"""What holds for every address of the API: who may call it, how it answers those who may not, its other spellings."""

import re
import uuid

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from cdp.access.models import ApiKey, User
from cdp.access.permissions import ACTIONS
from config.urls import API
from tests.calling import Api

pytestmark = pytest.mark.django_db

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ROUTES = [
    (method, address, view)
    for address, view in sorted(API.items())
    for method in METHODS
    if hasattr(view, method.lower())
]
SCOPES = ("ingest", "read", "read_masked", "write", "admin")


def filled(address: str) -> str:
    return re.sub(r"<str:\w+>", str(uuid.UUID(int=1)), address)


def test_every_method_says_what_it_needs():
    undeclared = [(m, a) for m, a, view in ROUTES if view.needs.get(m) not in ACTIONS]
    assert undeclared == []
    unreachable = [(a, m) for a, view in API.items() for m in view.needs if not hasattr(view, m.lower())]
    assert unreachable == []


@pytest.mark.parametrize(("method", "address", "view"), ROUTES, ids=[f"{m} {a}" for m, a, _ in ROUTES])
def test_who_may(method, address, view):
    """Without a key 401; with each scope alone 403 unless it is one of those that the method needs."""
    client = Client()
    bare = client.generic(method, f"/api/v1/cdp/{filled(address)}")
    assert (bare.status_code, bare.json()["code"]) == (401, "not_authenticated")
    wrong = client.generic(method, f"/api/v1/cdp/{filled(address)}", headers={"X-API-Key": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_key")
    allowed, _ = ACTIONS[view.needs[method]]
    for scope in SCOPES:
        api = Api(scope)
        status, answer = api.call(method, filled(address))
        if scope in allowed:
            assert (scope, status) not in {(scope, 401), (scope, 403), (scope, 500)}
        else:
            assert (scope, status, answer["code"]) == (scope, 403, "permission_denied")
            assert sorted(answer) == ["code", "details", "error", "message"]


@pytest.mark.parametrize(("method", "address", "view"), ROUTES, ids=[f"{m} {a}" for m, a, _ in ROUTES])
def test_which_role_may(method, address, view):
    """A person who signed in needs the permission of the action, and the CSRF token where something is written."""
    _, permission = ACTIONS[view.needs[method]]
    for role in ("viewer", "analyst", "marketer", "privacy officer", "administrator"):
        user = User.objects.create_user(f"{role}")
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        answer = client.generic(method, f"/api/v1/cdp/{filled(address)}", content_type="application/json")
        may = User.objects.get(pk=user.pk).has_perm(permission)
        assert (role, answer.status_code == 403) == (role, not may)


@pytest.mark.parametrize("address", sorted(API))
def test_both_bases_with_and_without_a_slash(address):
    api = Api("admin")
    method = next(iter(API[address].needs))
    answers = {
        api.call(method, f"{base}{filled(address)}{slash}")[0]
        for base in ("/api/v1/cdp/", "/api/cdp/")
        for slash in ("", "/")
    }
    assert len(answers) == 1
    assert answers <= {200, 201, 400, 404}


def test_a_method_without_a_need_is_denied(monkeypatch):
    monkeypatch.setattr(API["profiles"], "needs", {})
    assert Api("admin").get("profiles")[0] == 403


def test_a_write_key_only_ingests():
    from cdp.access.keys import add_write_key
    from cdp.access.models import Source

    key = add_write_key(Source.objects.create(name="shop"))
    answer = Client().get("/api/v1/cdp/events", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "write_key")


def test_a_signed_in_user_needs_the_csrf_token_to_write():
    alice = User.objects.create_superuser("alice")
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.get("/api/v1/cdp/profiles").status_code == 200
    refused = client.post("/api/v1/cdp/profiles", b"{}", content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    client.get("/api/v1/cdp/profiles", headers={"Accept": "text/html"})
    token = client.cookies["csrftoken"].value
    given = client.post("/api/v1/cdp/profiles", b"{}", content_type="application/json", headers={"X-CSRFToken": token})
    assert given.status_code == 201


def test_browsable_pages_for_those_who_signed_in():
    client = Client()
    client.force_login(User.objects.create_superuser("alice"))
    answer = client.get("/api/v1/cdp/profiles", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_each_key_has_its_own_limit_per_minute(time_machine):
    time_machine.move_to("2026-05-01T12:00:20Z", tick=False)
    api, other = Api("read", rate_limit=3), Api("read", name="other", rate_limit=3)
    assert [api.get("profiles")[0] for _ in range(4)] == [200, 200, 200, 429]
    assert api.get("profiles") == (
        429,
        {
            "error": "Too Many Requests",
            "code": "throttled",
            "message": "Too many requests. Try again in 40 s.",
            "details": {"retryAfter": 40},
        },
    )
    assert api.headers["Retry-After"] == "40"
    assert other.get("profiles")[0] == 200
    time_machine.move_to("2026-05-01T12:01:00Z", tick=False)
    assert api.get("profiles")[0] == 200


def test_when_a_key_was_used_is_kept_to_the_hour(time_machine, django_assert_num_queries):
    time_machine.move_to("2026-05-01T12:00:20Z", tick=False)
    api = Api("read")
    api.get("profiles")
    assert str(ApiKey.objects.get().last_used_at) == "2026-05-01 12:00:20+00:00"
    time_machine.move_to("2026-05-01T12:59:00Z", tick=False)
    api.get("profiles")
    assert str(ApiKey.objects.get().last_used_at) == "2026-05-01 12:00:20+00:00"
    time_machine.move_to("2026-05-01T13:30:00Z", tick=False)
    api.get("profiles")
    assert str(ApiKey.objects.get().last_used_at) == "2026-05-01 13:30:00+00:00"
