"""The error report of an import: a CSV file with line number, code and sentence, never a value of the row."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Self, TextIO

from cdp.pipeline.imports.rows import BadRow


class ErrorReport:
    """Appends to `path`; the file is there only when a row was refused.

    Lines of an earlier attempt stay up to the line `after`; what came later is found again.
    """

    def __init__(self, path: Path, *, after: int) -> None:
        self.path = path
        self.count = 0
        self._file: TextIO | None = None
        self._keep(row for row in _rows_of(path) if int(row[0]) <= after)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def mark(self) -> int:
        """How many lines it has: where `write` begins, also when it is called again after a failed transaction."""
        return self.count

    def write(self, rows: Sequence[BadRow], *, at: int) -> None:
        """Write `rows` durably behind the first `at`. Call it before the transaction that counts them commits."""
        if self.count > at:
            self._keep(islice(_rows_of(self.path), at))
        if not rows:
            return
        if self._file is None:
            self._file = self.path.open("w", newline="", encoding="utf-8")
            self._append([_HEADER])
        self._append([[str(row.line), row.code, row.message] for row in rows])
        self.count += len(rows)

    def _keep(self, rows: Iterable[list[str]]) -> None:
        """Make it a report of `rows` alone; it is whole at any moment."""
        if self._file:
            self._file.close()
        scratch = self.path.with_suffix(".tmp")
        self.count = 0
        self._file = scratch.open("w", newline="", encoding="utf-8")
        self._append([_HEADER])
        for row in rows:
            csv.writer(self._file).writerow(row)
            self.count += 1
        self._append([])
        if self.count:
            scratch.replace(self.path)
            return
        self._file.close()
        self._file = None
        scratch.unlink()
        self.path.unlink(missing_ok=True)

    def _append(self, rows: list[list[str]]) -> None:
        assert self._file is not None
        csv.writer(self._file).writerows(rows)
        self._file.flush()
        os.fsync(self._file.fileno())


def report_path(path: Path, folder: Path) -> Path:
    """`PATH.errors.csv` beside the file, or in `folder` where that cannot be written."""
    name = f"{path.name}.errors.csv"
    beside = path.with_name(name)
    if os.access(path.parent, os.W_OK) and (not beside.exists() or (beside.is_file() and os.access(beside, os.W_OK))):
        return beside
    return folder / name


_HEADER = ["line", "code", "message"]


def _rows_of(path: Path) -> Iterator[list[str]]:
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        yield from (row for row in csv.reader(file) if len(row) == 3 and row[0].isdigit())
