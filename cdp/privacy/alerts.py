"""Deadlines of requests: the officers are mailed before one passes, and when it has; figures for the console."""

import logging
import smtplib
from collections.abc import Sequence

import msgspec
from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage
from django.db.models import Q
from django.urls import reverse

from cdp.access.models import User
from cdp.core.clock import DAY
from cdp.pipeline.health import Metric
from cdp.privacy.deadlines import OPEN, days_left
from cdp.privacy.links import mail_works
from cdp.privacy.models import PrivacyRequest

OVERDUE = 0
"""The threshold of what is over."""
_log = logging.getLogger(__name__)


class Deadlines(msgspec.Struct, frozen=True):
    """Open requests: all, those due within the first of PRIVACY_ALERT_DAYS, and of these those that are over."""

    open: int
    soon: int
    overdue: int


def deadlines(now: int) -> Deadlines:
    """How it stands at `now` (µs): one query."""
    due = list(PrivacyRequest.objects.filter(status__in=OPEN).values_list("due_at", flat=True))
    soon = now + settings.PRIVACY_ALERT_DAYS[0] * DAY
    return Deadlines(len(due), sum(at <= soon for at in due), sum(at <= now for at in due))


def due_soon(now: int, *, most: int = 20) -> list[PrivacyRequest]:
    """The open requests that are due within the first of PRIVACY_ALERT_DAYS or over, the next deadline first."""
    soon = now + settings.PRIVACY_ALERT_DAYS[0] * DAY
    return list(PrivacyRequest.objects.filter(status__in=OPEN, due_at__lte=soon).order_by("due_at", "id")[:most])


def privacy_metrics(now: int) -> list[Metric]:
    """The numbers for /metrics."""
    found = deadlines(now)
    return [
        Metric(f"cdp_privacy_requests_{name}", "gauge", help_, (((), float(value)),))
        for name, help_, value in (
            ("open", "Requests of people about their data that are not answered yet.", found.open),
            ("due_soon", "Those whose deadline is near or over.", found.soon),
            ("overdue", "Those whose deadline is over.", found.overdue),
        )
    ]


def alert_officers(now: int) -> int:
    """Mail the officers about requests that came to a threshold of PRIVACY_ALERT_DAYS, or are over; returns how many.

    Once for each request and threshold: a request is claimed before the mail, and given back when that fails. Without
    mail, or an officer with an address, the console and /metrics say it alone. Two queries while nothing is due.
    """
    near = [row for row in due_soon(now, most=500) if _due_for_alert(row, now=now)]
    officers = addresses_of_officers() if near and mail_works() else []
    if not officers:
        return 0
    before = {row.pk: row.alerted for row in near}
    claimed = [row for row in near if _claim(row, threshold(row.due_at, now=now))]
    if not claimed:
        return 0
    try:
        _mail(claimed, officers, now=now)
    except (smtplib.SMTPException, OSError) as error:
        _log.warning("The mail about deadlines was not sent (%s).", type(error).__name__)
        for row in claimed:
            PrivacyRequest.objects.filter(pk=row.pk).update(alerted=before[row.pk])
        return 0
    return len(claimed)


def threshold(due_at: int, *, now: int) -> int:
    """The least threshold that a deadline has come to: days before it, or `OVERDUE`."""
    reached = [days for days in (*settings.PRIVACY_ALERT_DAYS, OVERDUE) if due_at <= now + days * DAY]
    return min(reached)


def addresses_of_officers() -> list[str]:
    """The e-mail addresses of everybody who may carry requests out."""
    may = Permission.objects.filter(content_type__app_label="privacy", codename="change_privacyrequest")
    by_group = Q(groups__permissions__in=may) | Q(user_permissions__in=may)
    people = User.objects.filter(by_group | Q(is_superuser=True), is_active=True).exclude(email="")
    return sorted(set(people.values_list("email", flat=True)))


def _due_for_alert(row: PrivacyRequest, *, now: int) -> bool:
    return row.alerted is None or row.alerted > threshold(row.due_at, now=now)


def _claim(row: PrivacyRequest, reached: int) -> bool:
    return PrivacyRequest.objects.filter(pk=row.pk, alerted=row.alerted).update(alerted=reached) == 1


def _mail(rows: Sequence[PrivacyRequest], officers: Sequence[str], *, now: int) -> None:
    lines = [
        f"{row.get_kind_display()}, {left_in_words(days_left(row, now=now))}:"
        f" {settings.PUBLIC_URL}{reverse('admin:privacy_privacyrequest_change', args=[row.pk])}"
        for row in rows
    ]
    count = len(rows)
    EmailMessage(
        subject=f"{count} privacy request{'s wait' if count != 1 else ' waits'} for an answer",
        body="These requests of people about their data must be answered in time:\n\n" + "\n".join(lines) + "\n",
        bcc=list(officers),
    ).send()


def left_in_words(days: int | None) -> str:
    """How long there is still, for people: `due in 3 days`, `due today`, `2 days late`."""
    if days is None:
        return ""
    if days < 0:
        return f"{-days} day{'s' if days != -1 else ''} late"
    return "due today" if days == 0 else f"due in {days} day{'s' if days != 1 else ''}"
