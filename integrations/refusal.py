"""Credentials that a provider refuses: the integration is deactivated, and the administrators are told."""

import logging
import smtplib

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q
from django.urls import reverse

from cdp.access.audit import record_change
from cdp.access.models import User
from cdp.core.clock import now_us
from integrations.connection import forget_connection
from integrations.models import Integration

ADMINISTRATORS = "administrator"
_log = logging.getLogger(__name__)


def deactivate_refused(pk: int, message: str) -> bool:
    """Deactivate the integration `pk` because of `message`; false when it was not active any more."""
    now = now_us()
    changed = Integration.objects.filter(pk=pk, active=True).update(
        active=False,
        test_status=Integration.TestStatus.FAILED,
        last_error=message,
        last_error_at=now,
        refused_at=now,
        refusal_told=False,
        updated_at=now,
    )
    forget_connection()
    if not changed:
        return False
    record_change(
        "system",
        action="deactivate",
        object_type="integration",
        object_ids=list(Integration.objects.filter(pk=pk).values_list("public_id", flat=True)),
        fields=["active", "test_status"],
    )
    _log.warning("An integration was deactivated because its credentials are refused.")
    return True


def tell_administrators() -> int:
    """Mail the administrators about refusals that they have not been told of; returns how many there were.

    A mail that cannot be sent is tried again at the next call. The notice on the console's first page needs no mail.
    """
    told = 0
    for row in Integration.objects.filter(refusal_told=False, refused_at__isnull=False):
        try:
            _mail(row)
        except (smtplib.SMTPException, OSError) as error:
            _log.warning("The mail to the administrators was not sent (%s).", type(error).__name__)
            continue
        told += Integration.objects.filter(pk=row.pk, refusal_told=False).update(refusal_told=True)
    return told


def _mail(row: Integration) -> None:
    people = User.objects.filter(Q(is_superuser=True) | Q(groups__name=ADMINISTRATORS), is_active=True)
    addresses = sorted(set(people.exclude(email="").values_list("email", flat=True)))
    if not addresses:
        return
    page = settings.PUBLIC_URL + reverse("admin:integrations_integration_change", args=[row.pk])
    EmailMessage(
        subject="CDP integration failed: invalid credentials",
        body=(
            f"The integration “{row.name}” was deactivated: {row.last_error}\n\n"
            "Customers are answered from our own store until it has working credentials again:\n"
            f"{page}\n"
        ),
        bcc=addresses,
    ).send()
