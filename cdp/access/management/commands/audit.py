"""`manage.py audit verify|seal|export`"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cdp.access.audit import shell_actor
from cdp.access.audit_export import FORMATS, export_audit
from cdp.access.audit_head import read_head
from cdp.access.audit_seal import accept_restored, seal
from cdp.access.audit_search import AuditFilter
from cdp.access.audit_verify import verify
from cdp.core.clock import iso
from cdp.core.errors import DomainError

_FILTERS = ("actor", "action", "objectType", "objectId", "requestId", "startDate", "endDate")


class Command(BaseCommand):
    """Verifies, seals or exports the audit."""

    help = "The audit: verify it (exit status 1: it is not as it was written), seal what waits, export it."

    def add_arguments(self, parser: CommandParser) -> None:
        """One sub-command."""
        jobs = parser.add_subparsers(dest="job", required=True)
        check = jobs.add_parser("verify", help="Every row, the chain, and its signed head.")
        check.add_argument("--head", type=Path, metavar="FILE", help="A copy of head.json that was kept elsewhere.")
        sealing = jobs.add_parser("seal", help="Chain what waits now. The worker does so every few seconds.")
        sealing.add_argument(
            "--restored", metavar="WHY", help="After a restore from a backup: accept that the chain ends earlier."
        )
        export = jobs.add_parser("export", help="Write entries as CSV or JSON lines, newest first.")
        export.add_argument("--format", choices=list(FORMATS), default="jsonl")
        export.add_argument("--output", type=Path, metavar="FILE", help="Default: standard output.")
        for name in _FILTERS:
            export.add_argument(f"--{name}", default="", help="As in GET audit.")

    def handle(self, *, job: str, **options: Any) -> None:
        """Run it. Raises CommandError with a sentence."""
        try:
            {"verify": self._verify, "seal": self._seal, "export": self._export}[job](options)
        except DomainError as error:
            raise CommandError(error.message) from error

    def _verify(self, options: dict[str, Any]) -> None:
        copy = None
        if options["head"] is not None:
            copy = read_head(options["head"])
            if copy is None:
                raise CommandError(f"There is no file {options['head']}.")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("Verifying", total=None)
            found = verify(progress=lambda done, total: bar.update(task, completed=done, total=total), head=copy)
        if found.problem:
            raise CommandError(f"{found.problem} {found.rows:,} rows before are as they were written.")
        erased = f", people were erased from {found.erased:,} of them" if found.erased else ""
        self.stdout.write(f"{found.rows:,} rows are as they were written{erased}; the chain is whole.")
        if found.waiting:
            assert found.oldest is not None
            self.stdout.write(f"{found.waiting:,} rows are not sealed yet, the oldest of {iso(found.oldest)}.")
        if read_head() is None and found.rows:
            self.stdout.write("There is no signed head in DATA_DIR/audit: whether the end is missing cannot be said.")

    def _seal(self, options: dict[str, Any]) -> None:
        if options["restored"] is not None:
            accept_restored(shell_actor(), why=options["restored"])
        self.stdout.write(f"Sealed: {seal():,} rows.")

    def _export(self, options: dict[str, Any]) -> None:
        wanted = AuditFilter.of({name: options[name] for name in _FILTERS})
        lines = export_audit(wanted.rows(), options["format"], actor=shell_actor(), asked=wanted.described())
        path: Path | None = options["output"]
        with path.open("wb") if path else nullcontext(sys.stdout.buffer) as file:
            for line in lines:
                file.write(line)
