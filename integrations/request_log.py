"""The log of look-ups: written in groups by the thread of `integrations.afterwards`, read as figures, purged by age."""

from collections import deque

from django.db import connection, transaction

from cdp.core.bulk import Table
from cdp.core.clock import DAY
from cdp.pipeline.lease import database
from integrations.afterwards import later
from integrations.models import Integration, RequestLog

_MOST = 50_000
_CHUNK = 5000
_MAX_CHUNKS = 2000
_TABLE = Table(
    "integrations_requestlog",
    {
        "integration_id": "bigint",
        "at": "bigint",
        "customer": "bytea",
        "status": "smallint",
        "ms": "integer",
        "cached": "boolean",
        "called": "boolean",
        "error": "text",
    },
)
_rows: deque[tuple[int, int, bytes, int, int, bool, bool, str]] = deque(maxlen=_MOST)
_asked = False


def log_request(
    integration: int,
    *,
    at: int,
    customer: bytes,
    status: int,
    ms: int,
    cached: bool,
    called: bool,
    error: str = "",
) -> None:
    """Have a row written soon. `customer` is the keyed hash of the id."""
    global _asked  # noqa: PLW0603 - one for the process
    _rows.append((integration, at, customer, status, ms, cached, called, error))
    if not _asked:
        _asked = later(write_rows)


def write_rows() -> None:
    """Write what waits, up to 5,000 rows in a transaction; rows of an integration that is gone are dropped."""
    global _asked  # noqa: PLW0603
    _asked = False
    while _rows:
        rows = [_rows.popleft() for _ in range(min(_CHUNK, len(_rows)))]
        known = set(Integration.objects.values_list("id", flat=True))
        with connection.wrap_database_errors, transaction.atomic():  # on SQLite a row alone would be synced alone
            database().insert(_TABLE, [row for row in rows if row[0] in known])


def forget_rows() -> None:
    """Drop what waits."""
    global _asked  # noqa: PLW0603
    _asked = False
    _rows.clear()


def purge_requests(now: int, *, keep_days: int) -> int:
    """Delete rows more than `keep_days` days older than `now` (µs), 5,000 in a transaction; returns how many."""
    deleted = 0
    for _ in range(_MAX_CHUNKS):
        chunk = list(RequestLog.objects.filter(at__lt=now - keep_days * DAY).values_list("id", flat=True)[:_CHUNK])
        if chunk:
            deleted += RequestLog.objects.filter(id__in=chunk).delete()[0]
        if len(chunk) < _CHUNK:
            break
    return deleted
