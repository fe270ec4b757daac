"""Reject a request of somebody, for a reason that they may ask for."""

from typing import Any

from django.core.management.base import CommandParser, OutputWrapper

from cdp.access.audit import shell_actor
from cdp.privacy.request_table import print_requests
from cdp.privacy.requests import reject_request, request_of


def arguments(parser: CommandParser) -> None:
    """Which, and why."""
    parser.add_argument("request", help="its id")
    parser.add_argument("--reason", required=True)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Nothing is carried out."""
    row = reject_request(request_of(options["request"]), actor=shell_actor(), reason=options["reason"])
    print_requests([row], stdout)
