"""The page of a package for people: one file, without script and without anything from elsewhere."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import mark_safe

from cdp.core.clock import iso
from cdp.privacy.package_file import Spool
from cdp.privacy.package_part import Part, Record, Subject

MOST_ROWS = 1_000
"""Rows of a part that the page shows: a telephone opens it. The files beside it have all."""
_DEEP = 20


class Written(NamedTuple):
    """Part → number of records, and part → why it is not complete, of those that are not."""

    counts: dict[str, int]
    missing: dict[str, str]


class PageWriter:
    """Takes the records part by part, and gives the page when all are there."""

    def __init__(self, spool: Spool, *, kind: str) -> None:
        self._spool = spool
        self._kind = kind
        self._shown = 0

    def begin(self, part: Part) -> None:
        """The records of `part` follow."""
        self._shown = 0
        self._write("privacy/package_part.html", {"part": part, "columns": [_words(name) for name in part.columns]})

    def add(self, part: Part, record: Record) -> None:
        """Show a record, if the part still has room."""
        if self._shown < MOST_ROWS:
            self._shown += 1
            cells = (
                f'<td data-label="{escape(_words(name))}">{_value(name, getattr(record, name))}</td>'
                for name in part.columns
            )
            self._spool.write(f"<tr>{''.join(cells)}</tr>\n".encode())

    def end(self, part: Part, count: int, missing: str) -> None:
        """That was all of `part`: `count` records, and why there are no more (blank: they are all)."""
        more = count - self._shown
        self._write("privacy/package_part_end.html", {"part": part, "count": count, "more": more, "missing": missing})

    def written(self, subject: Subject, parts: Sequence[Part], found: Written) -> Iterator[bytes]:
        """The page."""
        about = {
            "made_at": _time(iso(subject.now)),
            "portable": self._kind == "portability",
            "person": str(subject.person.public_id),
            "contents": [(part, found.counts[part.name], part.name in found.missing) for part in parts],
        }
        yield render_to_string("privacy/package.html", about).encode()
        yield from self._spool.read()
        yield b"</main>\n</body>\n</html>\n"

    def _write(self, template: str, context: dict[str, Any]) -> None:
        self._spool.write(render_to_string(template, context).encode())


def _words(name: str) -> str:
    """A field as a heading: `stated_at` is “stated”."""
    words = name.removesuffix("_at").replace("_", " ")
    return words if words != "at" else "when"


def _value(name: str, value: Any, depth: int = 0) -> str:
    """Safe HTML of any value."""
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict) and depth < _DEEP:
        lines = (f"<div><b>{escape(str(key))}</b> {_value('', part, depth + 1)}</div>" for key, part in value.items())
        return mark_safe("".join(lines))  # noqa: S308 - every piece of it is escaped
    if isinstance(value, list) and depth < _DEEP:
        parts = [_value("", part, depth + 1) for part in value]
        if any(isinstance(part, dict | list) for part in value):
            return mark_safe("".join(f"<div>{part}</div>" for part in parts))  # noqa: S308
        return mark_safe(", ".join(parts))  # noqa: S308
    if isinstance(value, str) and (name == "at" or name.endswith("_at")):
        return escape(_time(value))
    return escape(str(value))


def _time(text: str) -> str:
    return f"{text[:10]} {text[11:19]} UTC"
