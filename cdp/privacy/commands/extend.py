"""Extend the deadline of a request, once, by what the regulation allows."""

from typing import Any

from django.core.management.base import CommandParser, OutputWrapper

from cdp.access.audit import shell_actor
from cdp.privacy.request_table import print_requests
from cdp.privacy.requests import extend_request, request_of


def arguments(parser: CommandParser) -> None:
    """Which, by how much, and why."""
    parser.add_argument("request", help="its id")
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--reason", required=True)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """The person is to be told within the first deadline: do that by hand."""
    row = extend_request(
        request_of(options["request"]), days=options["days"], actor=shell_actor(), reason=options["reason"]
    )
    print_requests([row], stdout)
