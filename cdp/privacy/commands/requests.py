"""List requests of people about their data: those that are open, the next deadline first, or all."""

from typing import Any

from django.core.management.base import CommandParser, OutputWrapper

from cdp.core.clock import DAY, now_us
from cdp.privacy.deadlines import OPEN
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.request_table import print_requests

_MOST = 1000


def arguments(parser: CommandParser) -> None:
    """Which."""
    parser.add_argument("--all", action="store_true", help="those that were answered, too, newest first")
    parser.add_argument("--type", choices=PrivacyRequest.Kind.values)
    parser.add_argument("--due", type=int, metavar="DAYS", help="open and due within so many days, or late")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """A table, without anything about whom."""
    rows = PrivacyRequest.objects.all()
    if not options["all"] or options["due"] is not None:
        rows = rows.filter(status__in=OPEN).order_by("due_at", "id")
    if options["type"]:
        rows = rows.filter(kind=options["type"])
    if options["due"] is not None:
        rows = rows.filter(due_at__lte=now_us() + options["due"] * DAY)
    print_requests(rows[:_MOST], stdout)
