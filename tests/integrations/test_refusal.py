"""Credentials that are refused: off at once, and the administrators learn it."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client

from cdp.access.models import AuditEntry, User
from integrations.afterwards import finish
from integrations.connection import forget_connection, seal_secrets
from integrations.lookup import look_up
from integrations.models import Integration
from integrations.refusal import tell_administrators
from tests import factories as make
from tests.integrations.upstream import TOKEN, Upstream, connect, row

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> None:
    for name, administrator in (("root", True), ("ann", False), ("vera", False), ("gone", True)):
        user = make.user(name, administrator=administrator)
        user.email = f"{name}@house.example"
        user.is_active = name != "gone"
        user.save()
    User.objects.get(username="ann").groups.add(Group.objects.get(name="administrator"))


@pytest.mark.parametrize("fault", ["401", "403"])
def test_it_is_deactivated_and_the_administrators_are_told(
    fault: str, upstream: Upstream, integration: Integration, people: None
):
    upstream.fault = fault
    assert look_up("CUSTOMER-1").fallback_reason == "unauthorized"
    assert look_up("CUSTOMER-2").fallback_reason == "unauthorized"
    finish()
    forget_connection()
    assert look_up("CUSTOMER-3").fallback_reason == "unauthorized"
    assert len(upstream.requests) == 1
    integration.refresh_from_db()
    assert (integration.active, integration.test_status) == (False, "failed")
    assert integration.last_error == f"It refused the bearer token (HTTP {fault})."
    assert list(AuditEntry.objects.values_list("actor", "action", "object_ids")) == [
        ("system", "deactivate", [str(integration.public_id)])
    ]
    assert tell_administrators() == 1
    assert tell_administrators() == 0
    [message] = mail.outbox
    assert sorted(message.bcc) == ["ann@house.example", "root@house.example"]
    assert message.subject == "CDP integration failed: invalid credentials"
    assert f"/admin/integrations/integration/{integration.pk}/change/" in message.body
    assert TOKEN not in str(message.message())
    assert "CUSTOMER" not in str(message.message())


def test_a_mail_that_fails_is_sent_later(upstream: Upstream, integration: Integration, people: None, settings: Any):
    upstream.fault = "401"
    look_up("C1")
    finish()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert tell_administrators() == 0
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert tell_administrators() == 1
    assert len(mail.outbox) == 1


def test_the_console_says_it_until_it_is_corrected(client: Client, upstream: Upstream, integration: Integration):
    client.force_login(make.user("root", administrator=True))
    upstream.fault = "401"
    look_up("C1")
    finish()
    for address in ("/admin/", "/admin/integrations/integration/"):
        page = client.get(address).content.decode()
        assert "Exacaster was deactivated" in page
        assert "It refused the bearer token (HTTP 401)." in page
    upstream.fault = ""
    given = {f"config_{name}": value for name, value in upstream.settings().items()}
    given |= {"name": "Exacaster", "active": "on", "rollout": 100, "config_bearer_token": TOKEN, "mapping": ""}
    assert client.post(f"/admin/integrations/integration/{integration.pk}/change/", given).status_code == 302
    assert "was deactivated" not in client.get("/admin/").content.decode()
    upstream.people["C2"] = row("C2")
    forget_connection()
    assert look_up("C2").source == "exacaster"


def test_a_wrong_token(upstream: Upstream, db: None):
    """What the platform really answers to one."""
    made = connect(upstream, token="wrong")
    assert look_up("C1").fallback_reason == "unauthorized"
    finish()
    made.refresh_from_db()
    assert made.active is False
    assert seal_secrets({"bearer_token": ""}) is None
