"""Erase people from every store, with proof and a signed receipt for each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser, OutputWrapper
from django.db.models import Sum
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cdp.access.audit import shell_actor
from cdp.core.errors import Invalid, NotFound, Unavailable
from cdp.privacy.erase import MOST, continue_erasures, erase_people
from cdp.privacy.holds import held
from cdp.privacy.models import Erasure
from cdp.privacy.receipt import receipt_path
from cdp.privacy.whom import person_called
from cdp.profiles.models import Profile


def arguments(parser: CommandParser) -> None:
    """Whom."""
    parser.add_argument(
        "who",
        nargs="*",
        metavar="FILE|IDENTIFIER",
        help="a file with an identifier in each line, or a profile id, e-mail, phone, user id, TYPE:VALUE",
    )
    parser.add_argument("--dry-run", action="store_true", help="say whom and how much, and change nothing")
    parser.add_argument("--continue", action="store_true", dest="go_on", help="go on with what was not finished")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """All of them or nobody: who is unknown or under a legal hold is told first."""
    if options["go_on"]:
        with Bars() as step:
            done = continue_erasures(at_once=True, progress=step)
        _tell(stdout, list(Erasure.objects.exclude(status="done").order_by("pk")), done)
        return
    people = list({person.pk: person for person in map(person_called, _texts(options["who"]))}.values())
    if not people:
        raise Invalid("Say whom: a file with an identifier in each line, or identifiers.")
    if len(people) > MOST:
        raise Invalid(f"Erase at most {MOST} people at once.")
    if options["dry_run"]:
        _dry(stdout, people)
        return
    with Bars() as step:
        rows = erase_people(people, actor=shell_actor(), progress=step)
    proven = [row for row in rows if row.receipt is not None]
    for row in proven:
        stdout.write(str(receipt_path(row.public_id)))
    _tell(stdout, [row for row in rows if row.receipt is None], len(proven))


def _dry(stdout: OutputWrapper, people: list[Profile]) -> None:
    numbers = [person.pk for person in people]
    kept = held(numbers)
    profiles = Profile.objects.filter(person_id__in=numbers)
    events = profiles.aggregate(events=Sum("event_count"))["events"] or 0
    stdout.write(f"{len(people)} people with {profiles.count()} profiles and {events} events would be erased.")
    for person in people:
        if person.pk in kept:
            stdout.write(f"{person.public_id} is under a legal hold: it would be refused.")


def _tell(stdout: OutputWrapper, left: list[Erasure], done: int) -> None:
    stdout.write(f"{done} erased and proven.")
    if left:
        reasons = {said["problem"] for row in left for said in row.steps.values() if said.get("problem")}
        raise Unavailable(
            f"{len(left)} not finished: {' '.join(sorted(reasons))} It goes on by itself, or with:"
            " manage.py privacy erase --continue"
        )


def _texts(given: list[str]) -> Iterator[str]:
    """The identifiers: of files line by line, of other arguments as they are."""
    for text in given:
        path = Path(text)
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                if line.strip():
                    yield line.strip()
        elif "/" in text or text.endswith((".txt", ".csv")):
            raise NotFound(f"There is no file {text}.")
        else:
            yield text


class Bars:
    """A progress bar for each thing that is done."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._shown = Progress(*columns)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._shown.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._shown.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        """`done` of `total` of the thing called `name`."""
        if name not in self._tasks:
            self._tasks[name] = self._shown.add_task(name, total=total)
        self._shown.update(self._tasks[name], completed=done, total=total)
