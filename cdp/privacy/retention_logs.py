"""Logs with a row for every request: which there are, and what of them is older than the policies allow.

Apps above this one add theirs by the setting RETENTION_LOGS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from cdp.core.clock import DAY
from cdp.history.reading import database
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention_old import Old, Progress

CHUNK = 5000


@dataclass(frozen=True, slots=True)
class Log:
    """A log: its name, what people call it, its table with a key `id`, and the column with the time (µs) of a row."""

    name: str
    label: str
    table: str
    column: str


QUARANTINE = Log("quarantine", "Quarantined messages", "events_quarantinedmessage", "received")


@cache
def logs() -> Mapping[str, Log]:
    """Name → log, by name."""
    found = [QUARANTINE, *(import_string(place) for place in settings.RETENTION_LOGS)]
    return {log.name: log for log in sorted(found, key=lambda log: log.name)}


def count_logs(policies: Sequence[RetentionPolicy], deleting: Sequence[RetentionPolicy], *, now: int) -> dict[int, Old]:
    """Rows that would go at `now` (µs) by each of `deleting` when all of `policies` decide: a query for each log."""
    found = {policy.pk: Old() for policy in deleting}
    for log, policy in _decided(policies, deleting):
        sql = f"select count(*), min({log.column}) from {log.table} where {log.column} < ?"
        [(rows, oldest)] = database().rows(sql, (now - policy.days * DAY,))
        found[policy.pk].add(rows, oldest)
    return found


def delete_logs(
    policies: Sequence[RetentionPolicy],
    deleting: Sequence[RetentionPolicy],
    *,
    now: int,
    progress: Progress = lambda *_: None,
) -> dict[int, Old]:
    """Delete what `count_logs` counts, 5,000 rows in a transaction."""
    found = {policy.pk: Old() for policy in deleting}
    for log, policy in _decided(policies, deleting):
        old = found[policy.pk]
        while some := _delete_some(log, now - policy.days * DAY):
            old.add(*some)
            progress(log.label.lower(), old.rows, old.rows)
    return found


def _delete_some(log: Log, before: int) -> tuple[int, int] | None:
    with transaction.atomic():
        rows = database().rows(
            f"select id, {log.column} from {log.table} where {log.column} < ? order by {log.column} limit ?",
            (before, CHUNK),
        )
        database().execute_in(f"delete from {log.table} where id {{in}}", [row[0] for row in rows], "bigint")
    return (len(rows), rows[0][1]) if rows else None


def _decided(
    policies: Sequence[RetentionPolicy], deleting: Sequence[RetentionPolicy]
) -> list[tuple[Log, RetentionPolicy]]:
    """Each log with the policy that decides about it, if that is one of `deleting`."""
    for_logs = [policy for policy in policies if policy.subject == RetentionPolicy.Subject.LOGS]
    may = {policy.pk for policy in deleting}
    found = []
    for name, log in logs().items():
        for_this = [policy for policy in for_logs if name in policy.logs] or [p for p in for_logs if not p.logs]
        shortest = min(for_this, key=lambda policy: (policy.days, policy.pk), default=None)
        if shortest is not None and shortest.pk in may:
            found.append((log, shortest))
    return found
