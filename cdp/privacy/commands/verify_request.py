"""Say that whoever made a request is the person, and how you know."""

from typing import Any

from django.core.management.base import CommandParser, OutputWrapper

from cdp.access.audit import shell_actor
from cdp.privacy.request_table import print_requests
from cdp.privacy.requests import HOW, request_of, verify_request


def arguments(parser: CommandParser) -> None:
    """Which, and how."""
    parser.add_argument("request", help="its id")
    parser.add_argument("--how", required=True, choices=list(HOW))


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """It can be carried out then."""
    print_requests([verify_request(request_of(options["request"]), by=shell_actor(), how=options["how"])], stdout)
