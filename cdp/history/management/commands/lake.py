"""manage.py lake: what the history holds, bringing it up to date, checking it, making it anew."""

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from cdp.core.clock import iso_or_none, now_us
from cdp.core.errors import DomainError
from cdp.history.compact import compact_events, compact_people_table
from cdp.history.erase import erase_deleted
from cdp.history.export import flush
from cdp.history.models import LakeState
from cdp.history.purge import purge_hot_events, purge_sessions
from cdp.history.rebuild import rebuild
from cdp.history.verify import verify
from cdp.history.waiting import waiting_events, waiting_people

Step = Callable[[str, int, int], None]


class Command(BaseCommand):
    """The history: `status`, `flush`, `compact`, `purge`, `erase`, `verify`, `rebuild`. All may be interrupted."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument(
            "action",
            choices=sorted(self._actions()),
            help="status: how far it is and what waits. flush: bring in what waits. compact: rewrite small files."
            " purge: delete hot events older than HOT_EVENT_DAYS that it has. erase: remove deleted people from its"
            " files. verify: every event once, nothing personal. rebuild: make it anew from the operational store.",
        )
        parser.add_argument("--yes", action="store_true", help="rebuild: do not ask")

    def handle(self, *_args: Any, action: str, yes: bool, **_options: Any) -> None:
        """Do it; a refusal is a sentence, and the exit status 1."""
        self._yes = yes
        try:
            self._actions()[action]()
        except DomainError as error:
            raise CommandError(error.message) from error
        except (OSError, ImportError) as error:
            raise CommandError(f"The lake cannot be reached or written: {error}") from error

    def _actions(self) -> dict[str, Callable[[], None]]:
        return {
            "status": self._status,
            "flush": self._flush,
            "compact": self._compact,
            "purge": self._purge,
            "erase": lambda: self.stdout.write(f"{erase_deleted()} rows of deleted people removed."),
            "verify": self._verify,
            "rebuild": self._rebuild,
        }

    def _purge(self) -> None:
        now = now_us()
        self.stdout.write(f"{purge_hot_events(now)} hot events deleted: the lake has them.")
        self.stdout.write(f"{purge_sessions(now)} sessions deleted: none of their events is hot.")

    def _status(self) -> None:
        now = now_us()
        table = Table(box=None, pad_edge=False)
        for name in ("table", "rows", "files", "MB", "waiting", "for", "compacted", "problem"):
            table.add_column(name, justify="left" if name in ("table", "problem") else "right")
        for state in LakeState.objects.all():
            waiting = (waiting_events if state.name == "events" else waiting_people)(state)
            table.add_row(
                state.name,
                f"{state.rows:,}",
                str(state.files),
                f"{state.bytes / 1e6:,.1f}",
                f"{waiting.rows:,}",
                f"{waiting.seconds(now):.0f} s",
                iso_or_none(state.compacted_at) or "never",
                state.error or "none",
            )
        out: Any = self.stdout
        Console(file=out).print(table)

    def _flush(self) -> None:
        done = flush()
        self.stdout.write(f"{done.events} events and {done.people} versions of people written.")

    def _compact(self) -> None:
        with _Bars() as step:
            months = compact_events(everything=True, progress=step)
            compact_people_table(everything=True)
        self.stdout.write(f"{months} months of events and the current state of people rewritten.")

    def _verify(self) -> None:
        with _Bars() as step:
            found = verify(progress=step)
        for problem in found.problems:
            self.stderr.write(problem)
        if found.problems:
            raise CommandError(f"{len(found.problems)} problems.")
        self.stdout.write(
            f"{found.events} events, each once; {found.versions} versions of {found.people} people;"
            f" {found.values} values looked at, none personal."
        )

    def _rebuild(self) -> None:
        if not self._yes:
            self.stdout.write(
                "This makes the lake anew from the operational store. People lose their earlier versions, and events"
                " that were purged from the operational store are lost if the lake that has them cannot be read."
            )
            if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
                raise CommandError("Nothing was changed.")
        with _Bars() as step:
            made = rebuild(progress=step)
        self.stdout.write(f"{made.events} events and {made.people} people written. {made.lost}")


class _Bars:
    """Progress bars, one per thing that is done."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._shown = Progress(*columns)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Step:
        self._shown.start()
        return self._step

    def __exit__(self, *_error: object) -> None:
        self._shown.stop()

    def _step(self, name: str, done: int, total: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._shown.add_task(name, total=total)
        self._shown.update(self._tasks[name], completed=done, total=total)
