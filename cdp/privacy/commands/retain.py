"""Delete what is older than the retention policies allow, or count it: --dry-run."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from django.core.management.base import CommandParser, OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from cdp.access.audit import shell_actor
from cdp.core.clock import iso_or_none, now_us
from cdp.core.errors import NotFound
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention_old import Old
from cdp.privacy.retention_run import preview
from cdp.privacy.retention_run import run as run_policies


def arguments(parser: CommandParser) -> None:
    """Which, and whether for earnest."""
    parser.add_argument("policy", nargs="*", help="names of policies; without one every active policy")
    parser.add_argument("--dry-run", action="store_true", help="only count, also for policies that are not active")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Print a line for each policy. May be interrupted: the next run goes on."""
    wanted = _policies(options["policy"], inactive=options["dry_run"])
    now = now_us()
    if options["dry_run"]:
        _table(wanted, preview(wanted, now=now), stdout, heading="would go")
        return
    with _Bars() as bars:
        gone = run_policies(wanted, actor=shell_actor(), now=now, progress=bars)
    _table(wanted, gone, stdout, heading="deleted")


def _policies(names: list[str], *, inactive: bool) -> list[RetentionPolicy]:
    rows = RetentionPolicy.objects.order_by("subject", "name")
    found = list(rows.filter(name__in=names) if names else rows if inactive else rows.filter(active=True))
    missing = set(names) - {policy.name for policy in found}
    if missing:
        raise NotFound(f"There is no retention policy called {sorted(missing)[0]!r}.")
    idle = [policy.name for policy in found if not policy.active]
    if idle and not inactive:
        raise NotFound(f"{idle[0]!r} is not active: look at it with --dry-run, and activate it in the console.")
    if not found:
        raise NotFound("There is no active retention policy: make one in the console or by the API.")
    return found


def _table(policies: list[RetentionPolicy], found: Mapping[int, Old], stdout: OutputWrapper, *, heading: str) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("policy", "kind", "days", heading, "sessions", "oldest"):
        table.add_column(name, justify="right" if name in ("days", heading, "sessions") else "left")
    for policy in policies:
        old = found.get(policy.pk, Old())
        table.add_row(
            policy.name if policy.active else f"{policy.name} (not active)",
            policy.get_subject_display(),
            str(policy.days),
            f"{old.rows:,}",
            f"{old.sessions:,}",
            iso_or_none(old.oldest) or "–",
        )
    out: Any = stdout
    Console(file=out, width=120).print(table)


class _Bars:
    """Progress bars, one per thing that is deleted."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)
