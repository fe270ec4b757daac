"""`manage.py seed_demo --profiles N`"""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cdp.core.errors import DomainError
from cdp.pipeline.backlog import bar_of_backlog, work_off
from cdp.pipeline.demo.seed import seed_demo

_PROCESS_EVERY = 20_000


class Command(BaseCommand):
    """Fills an installation with a made-up shop: the way of every other message, so what you see is what you get."""

    help = (
        "Make demo data: people, devices, sessions, orders, surveys and campaigns over two years. The same seed, days "
        "and until give the same messages, byte for byte; what is there already is not made again."
    )

    requires_migrations_checks = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--profiles", type=_count, default=200, metavar="N", help="How many people (default: 200).")
        parser.add_argument("--seed", type=int, default=1, help="Another number makes other people.")
        parser.add_argument("--days", type=_count, default=730, help="How far it goes back (default: 730).")
        parser.add_argument("--until", type=_day, help="The day after the last one, YYYY-MM-DD (default: today).")
        parser.add_argument("--no-process", action="store_false", dest="process", help="Leave it to the worker.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Fill the inbox, then process it. Ends with 1 when it was stopped: the same command goes on."""
        console = Console(stderr=True)
        try:
            run = self._seed(console, options)
            if options["process"]:
                bar_of_backlog(console)
        except KeyboardInterrupt:
            raise CommandError("Stopped. The same command goes on where it was.", returncode=1) from None
        except DomainError as error:
            raise CommandError(error.message, returncode=1) from error
        self.stdout.write(f"Demo data: {run.offset:,} people with {run.accepted:,} messages, {run.path}.")

    def _seed(self, console: Console, options: dict[str, Any]) -> Any:
        parts = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("people,")
        with Progress(
            *parts, TextColumn("{task.fields[messages]:,} messages"), TimeRemainingColumn(), console=console
        ) as bar:
            task = bar.add_task("Demo data", total=options["profiles"], messages=0)
            processed = 0

            def on_chunk(people: int, messages: int) -> None:
                nonlocal processed
                bar.update(task, completed=people, messages=messages)
                if options["process"] and messages - processed >= _PROCESS_EVERY:
                    processed = messages
                    work_off(lambda _left: None, wait=False)

            return seed_demo(
                options["profiles"],
                seed=options["seed"],
                days=options["days"],
                until=options["until"],
                on_chunk=on_chunk,
            )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError("must be at least 1")
    return number


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no day: write YYYY-MM-DD") from error
