"""One import of one file: in chunks, each committed together with how far it got, so that it can go on after any stop."""

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import OperationalError, connection, transaction

from cdp.access.source import SourceRef, source_named
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid, Unavailable
from cdp.pipeline.accept import REJECTED, accept
from cdp.pipeline.imports.mapping import ColumnMap
from cdp.pipeline.imports.messages import MessageMaker, RowRefused
from cdp.pipeline.imports.numbering import Numbering
from cdp.pipeline.imports.report import ErrorReport, report_path
from cdp.pipeline.imports.rows import BadRow, Row, RowFile
from cdp.pipeline.message import HISTORICAL
from cdp.pipeline.models import ImportRun

CHUNK = 2000
_PATIENCE_SECONDS = 120.0
_encode = msgspec.json.Encoder().encode

OnChunk = Callable[[int, int], None]
"""Called after each chunk with the bytes and rows that are done."""


class Ready(msgspec.Struct, frozen=True):
    """A row as the JSON of its message."""

    line: int
    message: bytes


class Imported(msgspec.Struct, frozen=True):
    """What an import found.

    The first `resumed` rows were done by an earlier attempt; `before` says that all were, so nothing was read again.
    `report` is there if rows were refused.
    """

    rows: int
    accepted: int
    duplicates: int
    rejected: int
    resumed: int
    report: Path | None = None
    before: bool = False


def import_file(
    file: RowFile,
    columns: ColumnMap,
    *,
    on_chunk: OnChunk,
    source_name: str = "import",
    again: bool = False,
    chunk: int = CHUNK,
) -> Imported:
    """Put every row of the open `file` into the inbox as historical messages, each once however often this is called.

    A run that was stopped goes on behind its last committed chunk. One that is done is not read again unless `again`
    (known rows are duplicates then). Raises Conflict while another import of the same file runs, Invalid for what
    cannot be read, Unavailable when the store stays locked.
    """
    columns.check_columns(file.columns)
    digest = file.digest()
    source = source_named(source_name)
    if not source.trusted:
        raise Invalid(f"{source_name} is a browser source; an import needs a server source. Choose another --source.")
    with _alone(digest):
        run = _run_of(file, columns, source, digest)
        if run.status == ImportRun.Status.DONE and not again:
            return _summary(run, resumed=run.offset, before=True)
        if run.status == ImportRun.Status.DONE:
            run.offset = run.accepted = run.duplicates = run.rejected = 0
        run.status = ImportRun.Status.RUNNING
        run.save()
        with Numbering(source.name, columns.kind) as numbering:
            return _go_on(run, file, MessageMaker(columns, region=settings.DEFAULT_PHONE_REGION), numbering, source, chunk, on_chunk)


def _go_on(
    run: ImportRun,
    file: RowFile,
    maker: MessageMaker,
    numbering: Numbering,
    source: SourceRef,
    chunk: int,
    on_chunk: OnChunk,
) -> Imported:
    resumed = run.offset
    rows = iter(file)
    after = pass_by(islice(rows, resumed), numbering)
    folder = settings.DATA_DIR / "imports"
    with ErrorReport(report_path(file.path, folder), after=after) as report:
        on_chunk(file.position, resumed)
        try:
            ready = prepared(rows, maker, numbering)
            while part := list(islice(ready, chunk)):
                _commit(run, part, source, report)
                on_chunk(file.position, run.offset)
            if file.changed():
                raise Invalid(f"{file.path} was written to while it was read. Import it again.", code="file_changed")
        except Invalid:
            ImportRun.objects.filter(pk=run.pk).update(status=ImportRun.Status.FAILED)
            raise
        run.status = ImportRun.Status.DONE
        run.save(update_fields=["status", "updated_at"])
        return _summary(run, resumed=resumed, report=report.path if report.count else None)


def pass_by(rows: Iterable[Row | BadRow], numbering: Numbering) -> int:
    """Count rows that an earlier attempt has done; returns the line of the last one, 0 without any."""
    line = 0
    for row in rows:
        line = row.line
        if isinstance(row, Row):
            numbering.of(row.values)
    return line


def prepared(
    rows: Iterable[Row | BadRow], maker: MessageMaker, numbering: Numbering
) -> Iterator[Ready | BadRow]:
    """Each row as a message with its id, or why it is none."""
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        number = numbering.of(row.values)
        try:
            message = maker.message(row.values)
        except RowRefused as refused:
            yield BadRow(row.line, refused.code, refused.message)
            continue
        message.setdefault("messageId", number)
        yield Ready(row.line, _encode(message))


def _commit(run: ImportRun, part: Sequence[Ready | BadRow], source: SourceRef, report: ErrorReport) -> None:
    """Accept a chunk and move `run` behind it in one transaction; waits for a store that is locked."""
    ready = [row for row in part if isinstance(row, Ready)]
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            bad = _commit_once(run, part, ready, source)
        except OperationalError as error:
            connection.close_if_unusable_or_obsolete()
            if time.monotonic() > give_up:
                raise Unavailable("The database stays locked or away.") from error
            time.sleep(0.2)
        else:
            report.write(bad)
            return


def _commit_once(
    run: ImportRun, part: Sequence[Ready | BadRow], ready: Sequence[Ready], source: SourceRef
) -> list[BadRow]:
    with transaction.atomic():
        outcomes = accept([row.message for row in ready], source=source, received=now_us(), flags=HISTORICAL)
        bad = [row for row in part if isinstance(row, BadRow)]
        for row, outcome in zip(ready, outcomes, strict=True):
            if outcome.status == REJECTED:
                bad.append(BadRow(row.line, outcome.code, outcome.message))
