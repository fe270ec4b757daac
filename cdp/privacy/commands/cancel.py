"""Cancel a request, because whoever asked does not want it any more."""

from typing import Any

from django.core.management.base import CommandParser, OutputWrapper

from cdp.access.audit import shell_actor
from cdp.privacy.request_table import print_requests
from cdp.privacy.requests import cancel_request, request_of


def arguments(parser: CommandParser) -> None:
    """Which, and why if there is anything to say."""
    parser.add_argument("request", help="its id")
    parser.add_argument("--reason", default="")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Nothing is carried out."""
    row = cancel_request(request_of(options["request"]), actor=shell_actor(), reason=options["reason"])
    print_requests([row], stdout)
