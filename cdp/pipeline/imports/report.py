"""The error report of an import: a CSV file with line number, code and sentence, never a value of the row."""

import csv
import os
from collections.abc import Sequence
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
        kept = [row for row in _rows_of(path) if int(row[0]) <= after] if after else []
        if kept:
            scratch = path.with_suffix(".tmp")
            self._file = scratch.open("w", newline="", encoding="utf-8")
            self._append([_HEADER, *kept])
            self.count = len(kept)
            scratch.replace(path)
        else:
            path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def write(self, rows: Sequence[BadRow]) -> None:
        """Add `rows` durably. Call it before the transaction that counts them commits."""
        if not rows:
            return
        if self._file is None:
            self._file = self.path.open("w", newline="", encoding="utf-8")
            self._append([_HEADER])
        self._append([[str(row.line), row.code, row.message] for row in rows])
        self.count += len(rows)

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


def _rows_of(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.reader(file) if len(row) == 3 and row[0].isdigit()]
