"""`manage.py import_file PATH --kind customers|events --map column=field …`"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from cdp.core.errors import Conflict, DomainError, Unavailable
from cdp.pipeline.backlog import bar_of_backlog, work_off
from cdp.pipeline.imports.mapping import ColumnMap
from cdp.pipeline.imports.rows import RowFile
from cdp.pipeline.imports.run import Imported, import_file

_PROCESS_EVERY = 20_000

_HELP = """
fields:
  userId anonymousId email phone deviceId external:<namespace>   whose row it is: at least one
  timestamp        ISO 8601 (without zone: UTC), YYYYMMDD, or seconds, milliseconds, microseconds since 1970
  event            events only: its name
  messageId        the row's own unique id; without it, it is made of the row, so equal rows each count
  properties.NAME  events: for example properties.revenue, properties.currency
  traits.NAME      customers: also just NAME, for example firstName
  context.NAME     for example context.campaign.source
A column that looks like a number becomes one, except where its name ends in id, code, sku, zip, phone or number.
:text or :number behind a field decides it: --map amount=properties.revenue:number

  manage.py import_file cdnow.csv --kind events --map customer_id=userId --map date=timestamp \\
      --map amount=properties.revenue --map quantity=properties.quantity \\
      --set event="Order Completed" --set properties.currency=USD

exit status: 0 done (refused rows are in PATH.errors.csv), 1 stopped before the end, 2 the file or mapping is wrong
"""


class Command(BaseCommand):
    """Imports a CSV or JSON lines file. Stopped at any moment, the same command goes on where it was."""

    help = "Import customers or events from a .csv or .jsonl file (also .gz), each row once however often it is called."

    requires_migrations_checks = True

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        """Keep the line breaks of the list of fields."""
        return super().create_parser(
            prog_name, subcommand, epilog=_HELP, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("path", type=Path, metavar="PATH")
        parser.add_argument("--kind", required=True, choices=["customers", "events"])
        parser.add_argument("--map", action="append", default=[], metavar="COLUMN=FIELD", dest="columns")
        parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="constants")
        parser.add_argument("--rest", choices=["traits", "properties", "ignore"], default="", help="Unmapped columns.")
        parser.add_argument("--source", default="import", help="Name of the source it comes from (default: import).")
        parser.add_argument("--format", choices=["csv", "jsonl"], default="", dest="form", help="Default: by the name.")
        parser.add_argument(
            "--encoding", default="utf-8-sig", help="Default: UTF-8, with or without a byte order mark."
        )
        parser.add_argument("--delimiter", default="", help="Default: what the first line has most of , ; tab |")
        parser.add_argument("--decimal", choices=[".", ","], default=".", help="The mark before the fraction.")
        parser.add_argument("--time-format", default="", help="Of timestamps, as of strptime: %%d.%%m.%%Y")
        parser.add_argument("--again", action="store_true", help="Read a file again that was imported before.")
        parser.add_argument("--no-process", action="store_false", dest="process", help="Leave it to the worker.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Import, then process. Exits with the statuses of the help."""
        try:
            self._import(options)
        except KeyboardInterrupt:
            raise CommandError("Stopped. The same command goes on where it was.", returncode=1) from None
        except (Conflict, Unavailable) as error:
            raise CommandError(f"{error.message} The same command goes on where it was.", returncode=1) from error
        except DomainError as error:
            raise CommandError(error.message, returncode=2) from error

    def _import(self, options: dict[str, Any]) -> None:
        columns = ColumnMap.parse(
            options["kind"],
            options["columns"],
            options["constants"],
            rest=options["rest"],
            decimal=options["decimal"],
            time_format=options["time_format"],
        )
        delimiter = options["delimiter"].replace("\\t", "\t")
        console = Console(stderr=True)
        with (
            RowFile(options["path"], form=options["form"], encoding=options["encoding"], delimiter=delimiter) as file,
            _bar(console) as bar,
        ):
            task = bar.add_task(f"Reading {options['path'].name}", total=file.size, rows=0)
            processed = 0

            def on_chunk(position: int, rows: int) -> None:
                nonlocal processed
                bar.update(task, completed=position, rows=rows)
                if options["process"] and rows - processed >= _PROCESS_EVERY:
                    processed = rows
                    work_off(lambda _left: None, wait=False)

            found = import_file(file, columns, on_chunk=on_chunk, source_name=options["source"], again=options["again"])
            bar.update(task, completed=file.size, rows=found.rows)
        if options["process"]:
            bar_of_backlog(console)
        self._tell(found, options)

    def _tell(self, found: Imported, options: dict[str, Any]) -> None:
        if found.before:
            self.stdout.write(
                "This file was imported before, with this mapping: nothing to do. To read it again: --again"
            )
        elif found.resumed:
            self.stdout.write(f"Went on behind the first {found.resumed:,} rows, which were done before.")
        self.stdout.write(
            f"{found.rows:,} rows: {found.accepted:,} accepted, {found.duplicates:,} known before, "
            f"{found.rejected:,} refused."
        )
        if found.rows and found.duplicates == found.rows and not found.before:
            self.stdout.write(
                f"All rows were known: source {options['source']!r} has sent them as {options['kind']} before. "
                "If they are meant to count again, give another --source."
            )
        if found.report:
            self.stdout.write(f"Refused rows, with line and reason: {found.report}")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
        console=console,
    )
