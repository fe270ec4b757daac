"""The forms of a package, written in one pass over what is read, in constant memory.

data.json and schema.json are for machines, a CSV file for each part for spreadsheets, index.html for people.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Protocol
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec

from cdp.core.clock import iso
from cdp.core.json import encode
from cdp.privacy.package_file import Spool
from cdp.privacy.package_page import PageWriter, Written
from cdp.privacy.package_part import Missing, Part, Record, Subject

FORMAT = "porta-futuri-package"
VERSION = 1


class Sink(Protocol):
    """What a zip can be written to; it need not be able to go back."""

    def write(self, data: bytes, /) -> int:
        """Append."""

    def flush(self) -> None:
        """Hand on what waits."""

    def close(self) -> None:
        """That was all."""


Progress = Callable[[int], None]
"""Called with the number of records that were written since the last call."""
_STEP = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_zip(
    out: Sink, subject: Subject, parts: Sequence[Part], *, kind: str, folder: Path, progress: Progress
) -> Written:
    """Write the zip to `out` and return what it has. What has to wait lies sealed in `folder`."""
    with ExitStack() as stack, ZipFile(out, "w", ZIP_DEFLATED) as archive:
        tables = {part.name: stack.enter_context(Spool(folder)) for part in parts}
        page = PageWriter(stack.enter_context(Spool(folder)), kind=kind)
        with archive.open("data.json", "w", force_zip64=True) as data:
            data.write(_head(subject, kind))
            found = _parts(subject, parts, data, tables, page, progress)
            data.write(b"\n},\n" + b'"counts": ' + encode(found.counts))
            data.write(b',\n"missing": ' + encode(found.missing) + b"\n}\n")
        archive.writestr("schema.json", msgspec.json.format(encode(schema(parts)), indent=1))
        with archive.open("index.html", "w", force_zip64=True) as html:
            for piece in page.written(subject, parts, found):
                html.write(piece)
        for part in parts:
            with archive.open(f"csv/{part.name}.csv", "w", force_zip64=True) as table:
                for piece in tables[part.name].read():
                    table.write(piece)
        for name, why in found.missing.items():
            archive.writestr(f"csv/{name}.missing.txt", f"{why}\n")
    return found


def schema(parts: Sequence[Part]) -> dict[str, Any]:
    """The JSON Schema of data.json."""
    refs, definitions = msgspec.json.schema_components([part.record for part in parts], ref_template="#/$defs/{name}")
    properties = {
        part.name: {"type": "array", "description": part.about, "items": ref}
        for part, ref in zip(parts, refs, strict=True)
    }
    text, ids = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    person = {"type": "object", "required": ["id", "profileIds"], "properties": {"id": text, "profileIds": ids}}
    numbers = {"type": "object", "additionalProperties": {"type": "integer"}}
    missing = {
        "type": "object",
        "description": "Parts that are not complete, and why",
        "propertyNames": {"enum": list(properties)},
        "additionalProperties": text,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What is held about one person",
        "type": "object",
        "required": ["format", "version", "kind", "madeAt", "person", "parts", "counts", "missing"],
        "properties": {
            "format": {"const": FORMAT},
            "version": {"const": VERSION},
            "kind": {"enum": ["access", "portability"]},
            "madeAt": {"type": "string", "format": "date-time"},
            "person": person,
            "parts": {"type": "object", "required": list(properties), "properties": properties},
            "counts": numbers,
            "missing": missing,
        },
        "$defs": definitions,
    }


def _head(subject: Subject, kind: str) -> bytes:
    head = {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "madeAt": iso(subject.now),
        "person": {"id": str(subject.person.public_id), "profileIds": list(subject.ids.values())},
    }
    return encode(head)[:-1] + b',\n"parts": {'


def _parts(
    subject: Subject,
    parts: Sequence[Part],
    data: IO[bytes],
    tables: Mapping[str, Spool],
    page: PageWriter,
    progress: Progress,
) -> Written:
    found = Written({}, {})
    for number, part in enumerate(parts):
        table = tables[part.name]
        names = part.record.__struct_fields__
        table.write(_line(part.record.__struct_encode_fields__))
        data.write(b",\n" * bool(number) + b'"' + part.name.encode() + b'": [')
        count = 0
        page.begin(part)
        try:
            for record in _counted(part.rows(subject), progress):
                data.write(b",\n" * bool(count) + encode(record))
                table.write(_line([_cell(getattr(record, name)) for name in names]))
                page.add(part, record)
                count += 1
        except Missing as error:
            found.missing[part.name] = str(error)
        data.write(b"]")
        page.end(part, count, found.missing.get(part.name, ""))
        found.counts[part.name] = count
    return found


def _counted(records: Iterator[Record], progress: Progress) -> Iterator[Record]:
    waiting = 0
    for record in records:
        yield record
        waiting += 1
        if waiting == _STEP:
            progress(waiting)
            waiting = 0
    progress(waiting)


def _cell(value: object) -> str:
    """Text as it is, objects and lists as JSON; nothing that a spreadsheet would run."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else encode(value).decode()
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def _line(cells: Sequence[str]) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
