"""The OpenAPI document: without warnings, complete, and true, because Schemathesis calls every operation of it."""

from collections.abc import Iterator
from io import StringIO

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.urls import API
from config.wsgi import application
from tests.calling import Api

pytestmark = pytest.mark.django_db

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def someone(db: None) -> Iterator[str]:
    """The id of a person with something of everything, and a key to ask for them.

    Meanwhile a request does not close the connection that has the test's transaction open.
    """
    api = Api("admin", name="schemathesis")
    _, made = api.post(
        "profiles",
        {"userId": "u1", "attributes": {"email": "jane@example.com", "tags": ["a"]}, "consent": {"email": True}},
    )
    api.post("events", {"customerId": made["id"], "event": "Order Completed", "properties": {"revenue": 5}})
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield f"{made['id']} {api.key}"
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
schema.app = application


@schema.parametrize()
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_operation_does_what_the_document_says(case: schemathesis.Case, someone: str) -> None:
    """Half of the calls name somebody who is there."""
    person, key = someone.split()
    for name in ("customer_id", "profile_id"):
        if name in case.path_parameters and len(str(case.path_parameters[name])) % 2:
            case.path_parameters[name] = person
    case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {key}"})


def test_no_warning():
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_every_address_once_with_schemas_of_what_it_takes_and_answers():
    call = Client().get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    paths = call.json()["paths"]
    assert len(paths) == len(API)
    for address, methods in paths.items():
        assert address.startswith("/api/v1/cdp/")
        for method, operation in methods.items():
            good = [answer for status, answer in operation["responses"].items() if status < "300"]
            assert (address, method, bool(good)) == (address, method, True)
            assert operation["security"] == [{"bearerKey": []}, {"headerKey": []}, {"cookieAuth": []}]


def test_the_pages_are_served_without_another_host():
    answer = Client().get("/api/docs/")
    assert answer.status_code == 200
    assert b"/static/drf_spectacular_sidecar/" in answer.content
    assert b"https://cdn" not in answer.content
