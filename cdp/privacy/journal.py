"""The journal of erasures: a file outside the database, so that a restored backup learns whom it must forget again.

One JSON line for each erasure that began (`erase`), and for each suppression that was lifted (`lift`). Whom they are
about is sealed (`cdp.privacy.erase_subject`). A line is on disk before the transaction it tells of commits, so there
may be a line too many, never one too few: then the erasure that was asked for is carried out.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from django.conf import settings

from cdp.core.errors import Unavailable


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """`erase`: the erasure `id` about the sealed `trace`. `lift`: the suppression digest `id` (hex). `at` is in µs."""

    kind: Literal["erase", "lift"]
    id: str
    at: int
    trace: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


def journal_path() -> Path:
    """Where it is kept."""
    return Path(settings.ERASURE_JOURNAL)


def write_lines(lines: Sequence[Line]) -> None:
    """Append `lines`; they are on disk on return. Raises Unavailable when they cannot be written."""
    path = journal_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = not path.exists()
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            torn = file.tell() and not _ends_whole(path)
            file.write((b"\n" if torn else b"") + b"".join(_encode(line) + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        if made:
            sync_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            f"The journal of erasures ({path}) cannot be written, so nothing was erased: {type(error).__name__}."
        ) from error


def read_lines() -> Iterator[Line]:
    """Every line, oldest first. One that was torn by a power failure is passed over: its erasure never committed."""
    try:
        with journal_path().open("rb") as file:
            for text in file:
                try:
                    yield _decode(text)
                except msgspec.DecodeError:
                    continue
    except FileNotFoundError:
        return


def last_erasure() -> str | None:
    """The id of the newest erasure in the journal, read from its end; None without one."""
    try:
        with journal_path().open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            size = 1 << 16
            while True:
                start = max(0, end - size)
                file.seek(start)
                for text in reversed(file.read(end - start).splitlines()[1 if start else 0 :]):
                    try:
                        line = _decode(text)
                    except msgspec.DecodeError:
                        continue
                    if line.kind == "erase":
                        return line.id
                if not start:
                    return None
                size *= 4
    except FileNotFoundError:
        return None


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
