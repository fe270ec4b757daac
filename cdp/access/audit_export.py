"""Exports of the audit, as CSV or as a JSON document a line; an export is itself an entry."""

import csv
import io
from collections.abc import Iterator

import msgspec

from cdp.access.audit import record_change
from cdp.access.audit_search import AuditView, each_entry
from cdp.access.models import AuditQuerySet
from cdp.core.errors import Invalid

FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
"""Format → content type."""
_COLUMNS = AuditView.__struct_fields__
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_audit(rows: AuditQuerySet, form: str, *, actor: str, asked: str) -> Iterator[bytes]:
    """The entries of `rows` as lines of the format `form`, newest first, in constant memory.

    The entry that says so, with `asked` as its reason, is written before the first line can be read. Raises Invalid.
    """
    if form not in FORMATS:
        raise Invalid(f"The formats are {', '.join(FORMATS)}.", code="unknown_format", details={"path": "format"})
    newest = rows.order_by("-id").values_list("pk", flat=True).first() or 0
    record_change(
        actor, action="export", object_type="audit", object_ids=[], fields=_COLUMNS, why=f"{form} {asked}".strip()
    )
    views = map(AuditView.of, each_entry(rows.filter(pk__lte=newest)))
    return _csv(views) if form == "csv" else (msgspec.json.encode(view) + b"\n" for view in views)


def _csv(views: Iterator[AuditView]) -> Iterator[bytes]:
    yield _line(list(_COLUMNS))
    for view in views:
        yield _line([_cell(getattr(view, name)) for name in _COLUMNS])


def _cell(value: object) -> str:
    """Lists joined by blanks; nothing that a spreadsheet would run."""
    text = " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: list[str]) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
