"""Trying retention policies and running them: by the command, the API, the admin and the sweep."""

from collections.abc import Sequence

from django.db import transaction

from cdp.access.audit import record_change
from cdp.core.clock import now_us
from cdp.core.errors import DomainError
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention import due_policies
from cdp.privacy.retention_events import count_old, delete_old
from cdp.privacy.retention_logs import count_logs, delete_logs
from cdp.privacy.retention_old import Old, Progress
from cdp.privacy.retention_people import count_people, erase_quiet
from cdp.segments.definition import ask_for_sweeps
from cdp.traits.computed import ask_for_values

_SUBJECT = RetentionPolicy.Subject
_WHAT = {_SUBJECT.EVENTS: "events", _SUBJECT.PROFILES: "people", _SUBJECT.LOGS: "rows"}


def preview(wanted: Sequence[RetentionPolicy], *, now: int) -> dict[int, Old]:
    """What a run of `wanted` at `now` (µs) would delete, by primary key, as if they were all active. Deletes nothing.

    Policies that are active besides take part in deciding.
    """
    policies = _deciding(wanted)
    found: dict[int, Old] = {}
    for subject, count in (
        (_SUBJECT.LOGS, count_logs),
        (_SUBJECT.EVENTS, count_old),
        (_SUBJECT.PROFILES, count_people),
    ):
        mine = [policy for policy in wanted if policy.subject == subject]
        found |= count(policies, mine, now=now) if mine else {}
    return found


def run(
    wanted: Sequence[RetentionPolicy], *, actor: str, now: int, progress: Progress = lambda *_: None
) -> dict[int, Old]:
    """Delete what the active ones of `wanted` decide about; gives what went by primary key. Recorded in the audit.

    Logs first, then events (operational store, then lake), then people. One kind that cannot be done (the lake is busy)
    is noted on its policies and the others are done; then its error is raised. Killed anywhere, the next run goes on.
    """
    active = [policy for policy in wanted if policy.active]
    policies = _deciding(active)
    found: dict[int, Old] = {}
    refused: DomainError | None = None
    for subject in (_SUBJECT.LOGS, _SUBJECT.EVENTS, _SUBJECT.PROFILES):
        mine = [policy for policy in active if policy.subject == subject]
        if not mine:
            continue
        resumed = _begin(mine, now)
        try:
            gone = _delete(policies, mine, resumed=resumed, now=now, progress=progress)
        except DomainError as error:
            _note(mine, error.message)
            refused = error
            continue
        except Exception as error:
            _note(mine, f"It failed ({type(error).__name__}); it is tried again.")
            raise
        _end(mine, gone, actor=actor, now=now)
        found |= gone
    if refused is not None:
        raise refused
    return found


def run_due(*, now: int) -> int:
    """Run the policies that are due; returns how many there were. One query when none is."""
    due = due_policies(now)
    if due:
        run(due, actor="retention", now=now)
    return len(due)


def in_words(policy: RetentionPolicy, old: Old) -> str:
    """`12 events and 3 sessions`."""
    what = f"{old.rows} {_WHAT[_SUBJECT(policy.subject)]}"
    return f"{what} and {old.sessions} sessions" if old.sessions else what


def _delete(
    policies: Sequence[RetentionPolicy],
    mine: Sequence[RetentionPolicy],
    *,
    resumed: bool,
    now: int,
    progress: Progress,
) -> dict[int, Old]:
    subject = mine[0].subject
    if subject == _SUBJECT.LOGS:
        return delete_logs(policies, mine, now=now, progress=progress)
    if subject == _SUBJECT.PROFILES:
        return erase_quiet(policies, mine, now=now, progress=progress)
    gone = delete_old(policies, mine, now=now, resumed=resumed, progress=progress)
    if resumed or any(old.rows for old in gone.values()):
        ask_for_sweeps()
        ask_for_values()
    return gone


def _deciding(wanted: Sequence[RetentionPolicy]) -> list[RetentionPolicy]:
    named = {policy.pk for policy in wanted}
    return [*wanted, *RetentionPolicy.objects.filter(active=True).exclude(pk__in=named)]


def _begin(mine: Sequence[RetentionPolicy], now: int) -> bool:
    """Note that they run; true when an earlier run of one of them did not end."""
    rows = RetentionPolicy.objects.filter(pk__in=[policy.pk for policy in mine])
    resumed = rows.filter(running_since__isnull=False).exists()
    rows.update(running_since=now)
    return resumed


def _note(mine: Sequence[RetentionPolicy], problem: str) -> None:
    rows = RetentionPolicy.objects.filter(pk__in=[policy.pk for policy in mine])
    rows.update(error=problem[:300], error_at=now_us())


def _end(mine: Sequence[RetentionPolicy], gone: dict[int, Old], *, actor: str, now: int) -> None:
    with transaction.atomic():
        for policy in mine:
            old = gone[policy.pk]
            row = RetentionPolicy.objects.filter(pk=policy.pk)
            row.update(last_run_at=now, last_deleted=old.rows, running_since=None, error="", error_at=None)
            row.filter(wanted_at__lte=now).update(wanted_at=None)  # who asks meanwhile gets another run
            if old.rows or old.sessions:
                record_change(
                    actor,
                    action="retain",
                    object_type="retentionpolicy",
                    object_ids=[policy.public_id],
                    fields=[],
                    why=f"deleted {in_words(policy, old)} older than {policy.days} days",
                )
