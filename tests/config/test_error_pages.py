"""What people see when something goes wrong: a page of ours in the console, JSON below /api/."""

import pytest
from django.contrib import admin
from django.test import Client

from tests import factories as make

pytestmark = pytest.mark.django_db


def text(answer):
    return answer.status_code, answer.headers["Content-Type"], answer.content.decode()


def test_pages_that_are_not_there():
    status, kind, page = text(Client().get("/nothing"))
    assert (status, kind) == (404, "text/html; charset=utf-8")
    assert "There is nothing here" in page
    assert "Go to the console" in page
    client = Client()
    client.force_login(make.user("root", administrator=True))
    assert "There is nothing here" in text(client.get("/admin/nothing/"))[2]
    status, kind, page = text(client.get("/api/nothing"))
    assert (status, kind, "There is nothing here" in page) == (404, "application/json", False)


def test_without_the_right():
    client = Client()
    client.force_login(make.user("vera", permissions=("profiles.view_profile",)))
    status, _, page = text(client.get("/admin/segments/segment/"))
    assert (status, "You do not have the right for this" in page) == (403, True)
    status, kind, page = text(client.get("/api/v1/cdp/audit"))
    assert (status, kind, "<html" in page) == (403, "application/json", False)


def test_a_form_without_its_token():
    client = Client(enforce_csrf_checks=True)
    client.force_login(make.user("root", administrator=True))
    status, _, page = text(client.post("/admin/logout/"))
    assert (status, "This form is too old" in page) == (403, True)


def test_when_something_breaks(monkeypatch):
    def broken(*_):
        raise RuntimeError("zelda@example.com")

    monkeypatch.setattr(admin.site, "each_context", broken)
    client = Client(raise_request_exception=False)
    client.force_login(make.user("root", administrator=True))
    status, _, page = text(client.get("/admin/"))
    assert (status, "Something went wrong" in page, "zelda" in page) == (500, True, False)
