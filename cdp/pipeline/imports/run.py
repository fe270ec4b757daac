"""One import of one file: in chunks, each committed together with how far it got, so that a stopped one goes on."""

import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from cdp.access.audit import record_change, shell_actor
from cdp.access.models import Source
from cdp.access.source import SourceRef, source_named
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid
from cdp.identities.suppression import Suppressed
from cdp.pipeline.accept import REJECTED, accept
from cdp.pipeline.backlog import patiently
from cdp.pipeline.erased import erased_among
from cdp.pipeline.imports.mapping import ColumnMap
from cdp.pipeline.imports.messages import MessageMaker, RowRefused
from cdp.pipeline.imports.numbering import Numbering
from cdp.pipeline.imports.report import ErrorReport, report_path
from cdp.pipeline.imports.rows import BadRow, Row, RowFile
from cdp.pipeline.lease import database
from cdp.pipeline.message import HISTORICAL, Envelope
from cdp.pipeline.models import ImportRun
from cdp.pipeline.writer import ACCEPTED

CHUNK = 2000
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
    actor: str = "",
) -> Imported:
    """Put every row of the open `file` into the inbox as historical messages, each once however often this is called.

    A run that was stopped goes on behind its last committed chunk. One that is done is not read again unless `again`
    (known rows are duplicates then). Each attempt that reads is recorded in the audit as one of `actor`, by default of
    the user of this process. Raises Conflict while another import of the same file runs, Invalid for what
    cannot be read, Unavailable when the store stays locked.
    """
    columns.check_columns(file.columns)
    digest = file.digest()
    actor = actor or shell_actor()
    source = _source(source_name, actor)
    if not source.trusted:
        raise Invalid(f"{source_name} is a browser source; an import needs a server source. Choose another --source.")
    with _alone(digest):
        run = _run_of(file, columns, source, digest)
        if run.status == ImportRun.Status.DONE and not again:
            return _summary(run, resumed=run.offset, before=True)
        if run.status == ImportRun.Status.DONE:
            run.offset = run.accepted = run.duplicates = run.rejected = 0
        run.status = ImportRun.Status.RUNNING
        with transaction.atomic():
            run.save()
            record_change(
                actor, action="import", object_type="importrun", object_ids=[run.pk], fields=[columns.kind, "source"],
                why=f"source {source.name}",
            )  # fmt: skip
        with Numbering(source.name, columns.kind) as numbering:
            maker = MessageMaker(columns, region=settings.DEFAULT_PHONE_REGION)
            return _Attempt(run, source, chunk, on_chunk).read(file, maker, numbering)


def pass_by(rows: Iterable[Row | BadRow], numbering: Numbering) -> int:
    """Count rows that an earlier attempt has done; returns the line of the last one, 0 without any."""
    line = 0
    for row in rows:
        line = row.line
        if isinstance(row, Row):
            numbering.of(row.values)
    return line


def prepared(rows: Iterable[Row | BadRow], maker: MessageMaker, numbering: Numbering) -> Iterator[Ready | BadRow]:
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


@dataclass(frozen=True)
class _Attempt:
    """One try at a run: it begins where the run stands."""

    run: ImportRun
    source: SourceRef
    chunk: int
    on_chunk: OnChunk

    def read(self, file: RowFile, maker: MessageMaker, numbering: Numbering) -> Imported:
        """Read on to the end of the file."""
        run, resumed = self.run, self.run.offset
        rows = iter(file)
        after = pass_by(islice(rows, resumed), numbering)
        with ErrorReport(report_path(file.path, settings.DATA_DIR / "imports"), after=after) as report:
            self.on_chunk(file.position, resumed)
            try:
                ready = prepared(rows, maker, numbering)
                while part := list(islice(ready, self.chunk)):
                    patiently(partial(self._commit, part, report, report.mark()))
                    self.on_chunk(file.position, run.offset)
                if file.changed():
                    raise Invalid(f"{file.path} was written to while it was read. Import it again.", code="changed")
            except Invalid:
                ImportRun.objects.filter(pk=run.pk).update(status=ImportRun.Status.FAILED)
                raise
            run.status = ImportRun.Status.DONE
            run.save(update_fields=["status", "updated_at"])
            return _summary(run, resumed=resumed, report=report.path if report.count else None)

    def _commit(self, part: Sequence[Ready | BadRow], report: ErrorReport, mark: int) -> None:
        """Accept a chunk and move the run behind it in one transaction; refused rows are reported before the commit.

        Raises Conflict when another import has moved the run.
        """
        run, given, now = self.run, [row for row in part if isinstance(row, Ready)], now_us()
        with transaction.atomic():
            nothing = Envelope(msgspec.Raw(b"null"))
            erased = erased_among(database(), [(row.message, nothing, self.source) for row in given], now=now)
            ready = [row for row, kept_out in zip(given, erased, strict=True) if not kept_out]
            outcomes = accept([row.message for row in ready], source=self.source, received=now, flags=HISTORICAL)
            bad = [row for row in part if isinstance(row, BadRow)]
            bad += [_kept_out(row) for row, kept_out in zip(given, erased, strict=True) if kept_out]
            bad += [
                BadRow(row.line, outcome.code, outcome.message)
                for row, outcome in zip(ready, outcomes, strict=True)
                if outcome.status == REJECTED
            ]
            accepted = sum(outcome.status == ACCEPTED for outcome in outcomes)
            after = {
                "offset": run.offset + len(part),
                "accepted": run.accepted + accepted,
                "duplicates": run.duplicates + len(part) - accepted - len(bad),
                "rejected": run.rejected + len(bad),
            }
            here = ImportRun.objects.filter(pk=run.pk, offset=run.offset)
            if here.update(**after, updated_at=timezone.now()) != 1:
                raise Conflict("Another import of this file has gone on meanwhile.", code="import_running")
            report.write(sorted(bad, key=lambda row: row.line), at=mark)
        for name, value in after.items():
            setattr(run, name, value)


def _kept_out(row: Ready) -> BadRow:
    refusal = Suppressed()
    return BadRow(row.line, refusal.code, refusal.message)


def _source(name: str, actor: str) -> SourceRef:
    """The source to import as; one that is made now is recorded."""
    with transaction.atomic():
        new = not Source.objects.filter(name=name).exists()
        source = source_named(name)
        if new:
            record_change(actor, action="add", object_type="source", object_ids=[source.id], fields=["name"])
    return source


def _run_of(file: RowFile, columns: ColumnMap, source: SourceRef, digest: str) -> ImportRun:
    """The run of this file with this mapping, or a new one that begins at its first row."""
    said = [digest, source.id, columns, file.form, file.encoding, file.delimiter]
    key = hashlib.sha256(_encode(said)).hexdigest()
    values = {"path": str(file.path)[-500:], "kind": columns.kind, "source_id": source.id}
    run, _ = ImportRun.objects.get_or_create(key=key, defaults=values)
    return run


def _summary(run: ImportRun, *, resumed: int, report: Path | None = None, before: bool = False) -> Imported:
    return Imported(run.offset, run.accepted, run.duplicates, run.rejected, resumed, report, before)


@contextmanager
def _alone(digest: str) -> Iterator[None]:
    """Keep other imports of the same bytes out, on this machine and in this PostgreSQL; a killed one keeps nobody out.

    Raises Conflict.
    """
    folder = settings.DATA_DIR / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    busy = Conflict("This file is being imported by another process.", code="import_running")
    with (folder / f"{digest[:16]}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise busy from error
        if connection.vendor != "postgresql":
            yield
            return
        key = int.from_bytes(bytes.fromhex(digest[:16]), "big", signed=True)
        with connection.cursor() as cursor:
            cursor.execute("select pg_try_advisory_lock(%s)", [key])
            if not cursor.fetchone()[0]:
                raise busy
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("select pg_advisory_unlock(%s)", [key])
