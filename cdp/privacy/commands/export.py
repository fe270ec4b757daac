"""Write everything that is held about a person into a zip: JSON, CSV and a readable page."""

import os
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser, OutputWrapper
from django.db.models import Sum
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cdp.access.audit import shell_actor
from cdp.core.errors import Conflict
from cdp.privacy.package import write_package
from cdp.privacy.whom import person_called
from cdp.profiles.models import Profile


def arguments(parser: CommandParser) -> None:
    """Whom and where to."""
    parser.add_argument("identifier", help="profile id, e-mail, phone, user id, or TYPE:VALUE such as device_id:abc")
    parser.add_argument("--output", required=True, metavar="FILE", help="the zip to write; it must not be there yet")
    parser.add_argument("--portable", action="store_true", help="only what the person gave, for another provider")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Write the file, readable by its owner only. A file that is there is left alone."""
    person = person_called(options["identifier"])
    path = Path(options["output"])
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    if path.exists():
        raise Conflict(f"{path} is there already: give another name.")
    total = Profile.objects.filter(person_id=person.pk).aggregate(events=Sum("event_count"))["events"] or 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            with Progress(*columns) as bar:
                task = bar.add_task("records", total=total)
                found = write_package(
                    person,
                    out,
                    actor=shell_actor(),
                    why="asked for by the command",
                    kind="portability" if options["portable"] else "access",
                    progress=lambda count: bar.advance(task, count),
                )
                written = sum(found.counts.values())
                bar.update(task, total=written, completed=written)
            out.flush()
            os.fsync(out.fileno())
        os.link(scratch, path)  # unlike a rename it does not replace what came there meanwhile
    except FileExistsError:
        raise Conflict(f"{path} is there already: give another name.") from None
    finally:
        scratch.unlink(missing_ok=True)
    stdout.write(f"{written} records of {person.public_id} in {path} ({path.stat().st_size:,} bytes).")
    for name, why in found.missing.items():
        stdout.write(f"{name}: {why}")
