"""Reads the rows of a CSV or JSON lines file, plain or gzipped, in constant memory, and says what is wrong where."""

import codecs
import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import msgspec

from cdp.core.errors import Invalid, NotFound
from cdp.core.json import nested_deeper

MAX_LINE = 4 * 1024 * 1024
"""Characters of the longest line that is read."""
_SAMPLE = 1000
_DEPTH = 100
_DELIMITERS = ",;\t|"
_FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class Row(msgspec.Struct, frozen=True):
    """One row by column. CSV values are texts, those of JSON lines what the JSON says. `line` counts from 1."""

    line: int
    values: dict[str, Any]


class BadRow(msgspec.Struct, frozen=True):
    """A row that cannot be read: its first line, a stable code and a sentence without any value of the row."""

    line: int
    code: str
    message: str


class RowFile:
    """The rows of one file. Use it as a context manager; iterate it once.

    `columns` are those of the header, or of the first 1,000 rows of JSON lines. `size` and `position` are bytes on
    disk, so that progress is known for gzipped files too. Raises NotFound or Invalid, with the line where there is one.
    """

    def __init__(self, path: Path, *, form: str = "", encoding: str = "utf-8-sig", delimiter: str = "") -> None:
        self.path = path
        self.form = form or format_of(path)
        self.encoding = encoding
        self.delimiter = delimiter
        self._line = 0
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise Invalid(f"There is no encoding {encoding!r}. Usual ones: utf-8, utf-16, cp1252, latin-1.") from error
        if len(delimiter) > 1 or delimiter in ('"', "\n", "\r"):
            raise Invalid("--delimiter is one character, for example ; or \\t.")
        self._raw = _opened(path)
        self.size = path.stat().st_size
        if not self.size:
            self._raw.close()
            raise Invalid(f"{path} is empty.", code="empty_file")
        self._stamp = self._state()
        self.columns: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._raw.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    @property
    def position(self) -> int:
        """Bytes of the file that were read so far."""
        return self._raw.tell()

    def digest(self) -> str:
        """SHA-256 of the bytes of the file. Call it before iterating."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def changed(self) -> bool:
        """Whether the file was written to since it was opened."""
        return self._state() != self._stamp

    def __iter__(self) -> Iterator[Row | BadRow]:
        return self._csv_rows() if self.form == "csv" else self._json_rows()

    def _state(self) -> tuple[int, int]:
        state = self.path.stat()
        return state.st_size, state.st_mtime_ns

    def _start(self) -> None:
        stream = gzip.GzipFile(fileobj=self._raw) if self.path.suffix == ".gz" else self._raw
        newline = "" if self.form == "csv" else "\n"
        self._text = io.TextIOWrapper(cast(BinaryIO, stream), encoding=self.encoding, newline=newline)
        self._lines = self._read_lines()
        if self.form == "csv":
            self._read_header()
        else:
            self._sample: list[Row | BadRow] = []
            self._parsed = self._parse_json()
            columns: dict[str, None] = {}
            for row in self._parsed:
                self._sample.append(row)
                if isinstance(row, Row):
                    columns.update(dict.fromkeys(row.values))
                if len(self._sample) == _SAMPLE:
                    break
            if not self._sample:
                raise Invalid(f"{self.path} has no row.", code="empty_file")
            self.columns = list(columns)

    def _read_lines(self) -> Iterator[str]:
        try:
            while line := self._text.readline(MAX_LINE + 1):
                self._line += 1
                if len(line) > MAX_LINE:
                    raise Invalid(f"Line {self._line} is longer than {MAX_LINE:,} characters: is this a text file?")
                yield line
        except UnicodeError as error:
            where = _undecodable(self.path, self.encoding)
            raise Invalid(
                f"Line {where} is not {self.encoding.removesuffix('-sig').upper()}. "
                "Save the file as UTF-8, or name its encoding: for example --encoding cp1252.",
                code="bad_encoding",
            ) from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Invalid(
                f"{self.path} is no whole gzip file: it breaks off or is damaged after line {self._line:,}.",
                code="bad_gzip",
            ) from error

    def _read_header(self) -> None:
        first = next(self._lines, "")
        if not first.strip():
            raise Invalid(f"{self.path} does not begin with a line of column names.", code="empty_file")
        delimiter = self.delimiter or max(_DELIMITERS, key=_outside_quotes(first).count)
        self._lines = _with_first(first, self._lines)
        self._reader = csv.reader(self._lines, delimiter=delimiter, strict=True)
        try:
            names = [name.strip() for name in next(self._reader)]
        except csv.Error as error:
            raise Invalid(f"The column names in line 1 cannot be read: {error}.", code="bad_header") from error
        self.columns = [name or f"column{number}" for number, name in enumerate(names, 1)]
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            raise Invalid(f"Two columns have the same name: {', '.join(twice)}.", code="bad_header")

    def _csv_rows(self) -> Iterator[Row | BadRow]:
        columns, width = self.columns, len(self.columns)
        while True:
            line = self._line + 1
            try:
                fields = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(line, "bad_csv", self._explained(error, line))
                continue
            if not fields:
                continue
            if len(fields) == width:
                yield Row(line, dict(zip(columns, fields, strict=True)))
            else:
                yield BadRow(line, "ragged", f"It has {len(fields)} fields; the header has {width}.")

    def _explained(self, error: csv.Error, line: int) -> str:
        lost = f" Lines {line:,} to {self._line:,} were left out." if self._line > line else ""
        if "field larger" in str(error):
            limit = csv.field_size_limit()
            return f"A field is longer than {limit:,} characters: perhaps a quote is not closed.{lost}"
        return f"A quote is not closed, or something follows a closing quote.{lost}"

    def _json_rows(self) -> Iterator[Row | BadRow]:
        while self._sample:
            yield from self._sample
            self._sample = []
        yield from self._parsed

    def _parse_json(self) -> Iterator[Row | BadRow]:
        decode = msgspec.json.Decoder().decode
        for text in self._lines:
            if text.isspace():
                continue
            if text.count("{") + text.count("[") > _DEPTH and nested_deeper(text.encode(), _DEPTH):
                yield BadRow(self._line, "too_deep", f"Objects and lists may be nested {_DEPTH} deep.")
                continue
            try:
                values = decode(text)
            except msgspec.DecodeError:
                yield BadRow(self._line, "bad_json", "It is no JSON.")
                continue
            if isinstance(values, dict):
                yield Row(self._line, values)
            elif isinstance(values, list) and self._line == 1:
                raise Invalid(f"{self.path} is one JSON array: write one object a line instead.", code="not_json_lines")
            else:
                yield BadRow(self._line, "bad_json", "It is no JSON object.")


def format_of(path: Path) -> str:
    """`csv` or `jsonl` by the end of the name, without `.gz`. Raises Invalid for another."""
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() not in _FORMATS:
        raise Invalid(
            f"{path.name} is neither .csv nor .jsonl (or these with .gz). If it is one of them: --format csv|jsonl.",
            code="unknown_format",
        )
    return _FORMATS[suffix.lower()]


def _opened(path: Path) -> BinaryIO:
    if not path.exists():
        raise NotFound(f"There is no file {path}.")
    if not path.is_file():
        raise Invalid(f"{path} is not a file.")
    try:
        return path.open("rb")
    except PermissionError as error:
        raise Invalid(f"{path} may not be read by this user.") from error


def _with_first(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _undecodable(path: Path, encoding: str) -> int:
    """The line with the first bytes that are not `encoding`."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        while chunk := file.read(65536):
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].count(b"\n")
            except UnicodeError:
                return line
    return line
