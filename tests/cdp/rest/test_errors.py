"""Every error has the one shape, whatever goes wrong."""

import logging

import pytest
from django.db import OperationalError
from django.test import Client, override_settings
from django.urls import path
from rest_framework.views import APIView

from config import urls
from tests.calling import Api

pytestmark = pytest.mark.django_db
SECRET = "jane@example.com"


class Failing(APIView):
    permission_classes = ()

    def get(self, request, kind):
        if kind == "locked":
            raise OperationalError("database is locked")
        raise RuntimeError(f"could not send to {SECRET}")


urlpatterns = [path("api/failing/<str:kind>", Failing.as_view()), *urls.urlpatterns]
handler404, handler500 = urls.handler404, urls.handler500


def error(kind: str, code: str, message: str, **details: object) -> dict[str, object]:
    return {"error": kind, "code": code, "message": message, "details": details}


@pytest.fixture
def api() -> Api:
    return Api("admin")


NOWHERE = error("Not Found", "not_found", "There is nothing at this address. The API is described at /api/docs/.")


@pytest.mark.parametrize("path", ["nothing", "events/track/x/y", "/api/", "/api/v2/cdp/events", "/api/v1/cdp/"])
def test_unknown_addresses(api, path):
    assert api.get(path) == (404, NOWHERE)
    assert Client().get(path if path.startswith("/") else f"/api/v1/cdp/{path}").json() == NOWHERE


def test_a_page_outside_the_api_that_is_not_there_is_a_page():
    answer = Client().get("/nothing")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


@override_settings(ROOT_URLCONF=__name__)
def test_our_own_fault_says_nothing_about_itself(caplog):
    caplog.set_level(logging.INFO)
    answer = Client().get("/api/failing/fault")
    assert (answer.status_code, answer.json()) == (
        500,
        error(
            "Internal Server Error",
            "internal_error",
            "Something went wrong on our side. It is in the log; trying again may help.",
        ),
    )
    assert "RuntimeError" in caplog.text
    assert "in get" in caplog.text
    assert SECRET not in caplog.text


@override_settings(ROOT_URLCONF=__name__)
def test_a_locked_store_is_unavailable():
    answer = Client().get("/api/failing/locked")
    message = "The store cannot take this now. Try again in a few seconds."
    assert (answer.status_code, answer.json()) == (503, error("Service Unavailable", "unavailable", message))
    assert answer.headers["Retry-After"] == "5"


def test_a_method_that_is_not_there(api):
    assert api.call("DELETE", "events/batch") == (
        405,
        error("Method Not Allowed", "method_not_allowed", 'Method "DELETE" not allowed.'),
    )
    assert api.headers["Allow"] == "POST, OPTIONS"


def test_no_key():
    answer = Client().get("/api/v1/cdp/events")
    message = "Authentication credentials were not provided."
    assert (answer.status_code, answer.json()) == (401, error("Unauthorized", "not_authenticated", message))
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize(
    ("body", "code", "start"),
    [
        (b"{bad", "bad_json", "The body is not valid JSON: "),
        (b'{"a": NaN}', "bad_json", "The body is not valid JSON: "),
        (b"\xff\xfe", "bad_json", "The body is not valid JSON: "),
        (b"[" * 100_000, "too_deep", "The body is nested more than 60 deep."),
        (b'"text"', "invalid", "Send a JSON object."),
        (b"[1]", "invalid", "Send a JSON object."),
    ],
)
def test_bodies_that_are_none(api, body, code, start):
    status, answer = api.call("POST", "profiles", body)
    assert (status, answer["error"], answer["code"]) == (400, "Bad Request", code)
    assert answer["message"].startswith(start)


def test_an_oversized_body(api):
    assert api.call("POST", "profiles", b" " * (4 * 1024 * 1024 + 1))[0] == 413


def test_a_mistyped_field_is_named_with_its_path(api):
    assert api.post("profiles", {"consent": {"email": "yes"}}) == (
        400,
        error("Bad Request", "invalid", "Expected `bool | null`, got `str`.", path="$.consent.email"),
    )
    assert api.post("profiles/x/y", {}) == (404, NOWHERE)


def test_any_content_type_is_json(api):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = api.client.post(
            "/api/v1/cdp/events",
            b'{"userId": "u", "event": "x"}',
            content_type=kind,
            headers={"X-API-Key": api.key},
        )
        assert (kind, answer.status_code) == (kind, 201)


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("limit=0", "invalid_limit", "`limit` must be a whole number from 1 to 500."),
        ("limit=501", "invalid_limit", "`limit` must be a whole number from 1 to 500."),
        ("limit=ten", "invalid_limit", "`limit` must be a whole number from 1 to 500."),
        ("page=-1", "invalid_page", "`page` must be a whole number from 1 to 100000."),
        ("page=٣", "invalid_page", "`page` must be a whole number from 1 to 100000."),
    ],
)
def test_bad_page_numbers(api, query, code, message):
    status, answer = api.get(f"profiles?{query}")
    assert (status, answer["code"], answer["message"]) == (400, code, message)
