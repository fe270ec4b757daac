"""Carry out verified requests, here and now: those that are named, or all that wait for an officer."""

from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cdp.access.audit import shell_actor
from cdp.core.errors import DomainError, Invalid
from cdp.privacy.carrying import carry_out
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.request_table import print_requests
from cdp.privacy.requests import request_of


def arguments(parser: CommandParser) -> None:
    """Which."""
    parser.add_argument("request", nargs="*", help="ids")
    parser.add_argument("--all", action="store_true", help="every request that is verified and waits")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """One after the other; what is refused does not stop the rest, and the exit status is 1 then."""
    if bool(options["request"]) == options["all"]:
        raise Invalid("Name requests, or say --all.")
    rows = [request_of(text) for text in options["request"]]
    if options["all"]:
        rows = list(PrivacyRequest.objects.filter(status=PrivacyRequest.Status.PENDING).order_by("due_at", "id"))
    done, refused = [], []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("requests", total=len(rows))
        for row in rows:
            try:
                done.append(carry_out(row, actor=shell_actor()))
            except DomainError as error:
                refused.append(f"{row.public_id}: {error.message}")
            bar.advance(task)
    print_requests(done, stdout)
    if refused:
        raise CommandError("\n".join(refused))
