"""X-Request-ID in, out, and in the log."""

import logging
import re

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_every_answer_has_a_new_id(client: Client) -> None:
    first, second = (client.get("/healthz")["X-Request-ID"] for _ in range(2))
    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert first != second


def test_a_usable_id_is_taken_over(client: Client) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "trace-7.B_1"})["X-Request-ID"] == "trace-7.B_1"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "ada@example.com", "a\tb"])
def test_any_other_is_replaced(client: Client, given: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"])


def test_errors_have_one_too(client: Client) -> None:
    assert client.get("/api/v1/cdp/nothing", headers={"X-Request-ID": "t1"})["X-Request-ID"] == "t1"


def test_the_line_of_a_request_has_the_route_and_not_the_path(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="cdp.request"):
        client.get("/api/v1/cdp/events/ada@example.com/recent?email=ada@example.com")
    [line] = [record.getMessage() for record in caplog.records if record.name == "cdp.request"]
    assert re.fullmatch(r"GET /api/v1/cdp/events/<str:customer_id>/recent 401 \d+\.\d ms", line)
