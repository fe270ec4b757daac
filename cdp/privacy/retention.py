"""Retention policies: made, changed and deleted, each recorded in the audit; and the moments at which they are due."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.timezone import localtime

from cdp.access.audit import record_change
from cdp.core.clock import MINUTE, from_us, now_us, to_us
from cdp.core.errors import Conflict, Invalid
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention_logs import logs

MOST_DAYS = 36_500
MOST_NAMES = 200
_AGAIN = 10 * MINUTE
_FIELDS = ("name", "subject", "event_names", "source", "purpose", "logs", "days", "active")


def save_policy(policy: RetentionPolicy, given: Mapping[str, Any], *, actor: str) -> RetentionPolicy:
    """Set the fields `given` (those of the model) on a new or stored policy and save it, recorded in the audit.

    A policy that was changed runs at its next time, not before. Raises Invalid with the path, Conflict when the name is
    taken.
    """
    new = policy.pk is None
    for name in _FIELDS:
        if name in given:
            setattr(policy, name, given[name])
    check_policy(policy)
    policy.changed_at = now_us()
    try:
        with transaction.atomic():
            policy.save()
            record_change(
                actor,
                action="add" if new else "change",
                object_type="retentionpolicy",
                object_ids=[policy.public_id],
                fields=[name for name in _FIELDS if name in given],
            )
    except IntegrityError:
        message = f"There is a policy with the name {policy.name!r} already."
        raise Conflict(message, code="name_taken", details={"path": "name"}) from None
    return policy


def delete_policy(policy: RetentionPolicy, *, actor: str) -> None:
    """Delete a policy, recorded in the audit. What it decided about is decided by the others, or kept for ever."""
    with transaction.atomic():
        named = [policy.public_id]
        record_change(actor, action="delete", object_type="retentionpolicy", object_ids=named, fields=[])
        policy.delete()


def check_policy(policy: RetentionPolicy) -> None:
    """Raise Invalid, with the path, for a policy that cannot be."""
    policy.name = policy.name.strip()
    if not 1 <= len(policy.name) <= 100:
        raise Invalid("`name` must have from 1 to 100 characters.", details={"path": "name"})
    if policy.subject not in RetentionPolicy.Subject.values:
        message = f"`subject` must be one of {', '.join(RetentionPolicy.Subject.values)}."
        raise Invalid(message, details={"path": "subject"})
    if isinstance(policy.days, bool) or not isinstance(policy.days, int) or not 1 <= policy.days <= MOST_DAYS:
        raise Invalid(f"`days` must be a whole number from 1 to {MOST_DAYS}.", details={"path": "days"})
    for path, value in (("eventNames", policy.event_names), ("logs", policy.logs)):
        _check_names(value, path)
    if policy.subject != RetentionPolicy.Subject.EVENTS:
        for path, value in (("eventNames", policy.event_names), ("source", policy.source_id),
                            ("purpose", policy.purpose_id)):  # fmt: skip
            if value:
                raise Invalid(f"`{path}` is for events only: leave it out.", details={"path": path})
    if policy.subject != RetentionPolicy.Subject.LOGS and policy.logs:
        raise Invalid("`logs` is for request logs only: leave it out.", details={"path": "logs"})
    unknown = [name for name in policy.logs if name not in logs()]
    if unknown:
        message = f"{unknown[0][:40]!r} is no log. Use: {', '.join(logs())}."
        raise Invalid(message, code="unknown_log", details={"path": "logs"})


def ask_for_run(policy: RetentionPolicy, *, actor: str) -> RetentionPolicy:
    """Have an active policy run within seconds by the worker, recorded in the audit. Raises Conflict else."""
    if not policy.active:
        raise Conflict("Only an active policy deletes: look at the preview, then activate it.", code="not_active")
    with transaction.atomic():
        RetentionPolicy.objects.filter(pk=policy.pk).update(wanted_at=now_us(), error="", error_at=None)
        named = [policy.public_id]
        record_change(actor, action="run", object_type="retentionpolicy", object_ids=named, fields=[])
    policy.refresh_from_db()
    return policy


def due_policies(now: int) -> list[RetentionPolicy]:
    """The active policies that are to run at `now` (µs): asked for, or not run since RETENTION_HOUR. One query.

    One that failed is tried again after ten minutes.
    """
    since = last_hour(now)
    return [
        policy
        for policy in RetentionPolicy.objects.filter(active=True)
        if (policy.wanted_at is not None or max(policy.last_run_at or 0, policy.changed_at) < since)
        and (policy.error_at is None or policy.error_at <= now - _AGAIN)
    ]


def last_hour(now: int) -> int:
    """The last moment up to `now` (µs) at which it was RETENTION_HOUR in TIME_ZONE."""
    local = localtime(from_us(now))
    at = local.replace(hour=settings.RETENTION_HOUR, minute=0, second=0, microsecond=0)
    if at > local:
        at = (local - timedelta(days=1)).replace(hour=settings.RETENTION_HOUR, minute=0, second=0, microsecond=0)
    return to_us(at)


def _check_names(value: object, path: str) -> None:
    if not isinstance(value, list) or len(value) > MOST_NAMES:
        raise Invalid(f"`{path}` must be a list of up to {MOST_NAMES} names.", details={"path": path})
    if any(not isinstance(name, str) or not 1 <= len(name.strip()) <= MOST_NAMES for name in value):
        raise Invalid(f"A name in `{path}` has from 1 to {MOST_NAMES} characters.", details={"path": path})
