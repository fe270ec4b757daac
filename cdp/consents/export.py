"""The consent ledger as a CSV file: any number of rows in constant memory."""

import csv
import io
from collections.abc import Iterator

from cdp.access.audit import record_change
from cdp.consents.models import Ledger
from cdp.core.clock import iso, iso_or_none

COLUMNS = (
    "id", "profileId", "consentType", "granted", "at", "recordedAt", "expiresAt", "source", "documentVersion", "cause",
    "mergeId", "eventId",
)  # fmt: skip
MEDIA = "text/csv; charset=utf-8"
_CHUNK = 2_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_ledger(rows: Ledger, *, actor: str, asked: str) -> Iterator[bytes]:
    """The rows of the ledger that are there now, oldest first, as pieces of a CSV file; addresses and metadata are not

    in it. The audit entry that says so, with `asked` as its reason, is written before the first line can be read.
    """
    last = rows.order_by("-id").values_list("pk", flat=True).first() or 0
    record_change(actor, action="export", object_type="consentrecord", object_ids=[], fields=COLUMNS, why=asked)
    return _lines(rows.filter(pk__lte=last))


def _lines(rows: Ledger) -> Iterator[bytes]:
    yield _csv([COLUMNS])
    after = 0
    while page := list(rows.filter(pk__gt=after).select_related("profile").order_by("id")[:_CHUNK]):
        after = page[-1].pk
        yield _csv(
            [
                (
                    str(row.public_id),
                    str(row.profile.public_id),
                    row.type,
                    "true" if row.granted else "false",
                    iso(row.at),
                    iso(row.recorded_at or row.at),
                    iso_or_none(row.expires_at) or "",
                    _harmless(row.source),
                    _harmless(row.document),
                    row.cause,
                    str(row.merge or ""),
                    bytes(row.event).hex() if row.event else "",
                )
                for row in page
            ]
        )


def _harmless(text: str) -> str:
    """Nothing that a spreadsheet would run."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
