"""manage.py segments: compute segments now with a progress bar, or list them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cdp.core.clock import now_us
from cdp.core.errors import NotFound
from cdp.segments.definition import ask_for_sweep, segment_of
from cdp.segments.follow import sweep
from cdp.segments.models import Segment
from cdp.segments.view import segment_views


class Command(BaseCommand):
    """`compute` looks at everybody anew, for all segments or those that are named; `list` shows how they stand."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do."""
        actions = parser.add_subparsers(dest="action", required=True)
        compute = actions.add_parser("compute", help="look at everybody anew")
        compute.add_argument("keys", nargs="*", metavar="KEY", help="key or id of a segment; none: all of them")
        actions.add_parser("list", help="sizes, freshness and errors")

    def handle(self, *_args: Any, action: str, keys: list[str] | None = None, **_options: Any) -> None:
        """Exits with an error when a segment is unknown or cannot be computed."""
        if action == "list":
            self._list()
        else:
            self._compute(keys or [])

    def _list(self) -> None:
        table = Table("Key", "Type", "Size", "Status", "Behind", "Computed", "Error")
        for view in segment_views(list(Segment.objects.order_by("key")), now=now_us()):
            behind = f"{view.freshness:g} s" if view.freshness else "–"
            size, error = f"{view.size:,}", view.error or ""
            table.add_row(view.key, view.type, size, view.status, behind, view.computed_at or "never", error)
        self._console().print(table)

    def _compute(self, keys: list[str]) -> None:
        try:
            segments = [segment_of(key) for key in keys] if keys else list(Segment.objects.order_by("pk"))
        except NotFound as error:
            raise CommandError(error.message) from error
        for segment in segments:
            ask_for_sweep(segment)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console()) as bar:
            task = bar.add_task("Computing", total=len(segments))

            def step(segment: Segment) -> None:
                bar.update(task, advance=1, description=f"{segment.key}: {segment.size:,}")

            sweep([segment.pk for segment in segments], progress=step)
        left = Segment.objects.filter(pk__in=[segment.pk for segment in segments])
        failed = [f"{segment.key}: {segment.error}" for segment in left if segment.error]
        busy = [segment.key for segment in left if segment.due and not segment.error]
        if failed or busy:
            told = [*failed, *(f"{key}: somebody else is computing it" for key in busy)]
            raise CommandError("\n".join(told))
        self.stdout.write(f"{len(segments)} segments computed.")

    def _console(self) -> Console:
        return Console(file=self.stdout)  # type: ignore[arg-type]  # Django's wrapper writes like a file
