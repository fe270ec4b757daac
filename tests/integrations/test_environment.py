"""The variables of the environment, alone."""

from typing import Any

import pytest
from django.core.management import call_command

from cdp.access.models import AuditEntry
from integrations.connection import forget_connection
from integrations.environment import connect_from_environment
from integrations.lookup import look_up
from integrations.models import Integration
from tests.integrations.upstream import RESOURCE, TOKEN, WORKSPACE, Upstream, row

pytestmark = pytest.mark.django_db


@pytest.fixture
def environment(upstream: Upstream, settings: Any) -> None:
    settings.EXACASTER_API_URL, settings.EXACASTER_BEARER_TOKEN = upstream.url, TOKEN
    settings.EXACASTER_WORKSPACE_ID, settings.EXACASTER_RESOURCE_ID = WORKSPACE, RESOURCE


def test_connects_at_the_first_start(environment: None, upstream: Upstream, settings: Any, capsys: Any):
    call_command("setup")
    assert "Connected  Exacaster CVM Platform (by the environment)" in capsys.readouterr().out
    made = Integration.objects.get()
    assert (made.active, made.config, made.credentials) == (True, {}, None)
    assert AuditEntry.objects.filter(action="add", actor="system").count() == 1
    upstream.people["C1"] = row("C1")
    assert look_up("C1").source == "exacaster"
    call_command("setup")
    assert Integration.objects.count() == 1
    settings.EXACASTER_BEARER_TOKEN = "another"
    forget_connection()
    assert look_up("C2").fallback_reason == "unauthorized"


def test_does_nothing_when_it_is_incomplete(environment: None, settings: Any):
    settings.EXACASTER_RESOURCE_ID = ""
    assert connect_from_environment() is None
    assert Integration.objects.count() == 0


def test_does_not_turn_on_again_what_somebody_turned_off(environment: None):
    connect_from_environment()
    Integration.objects.update(active=False)
    assert connect_from_environment() is None
    assert look_up("C1").fallback_reason == "not_configured"
