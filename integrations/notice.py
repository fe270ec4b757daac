"""What an administrator should know about integrations when the console opens."""

import msgspec
from django.conf import settings
from django.urls import reverse

from integrations.models import Integration
from integrations.provider import REASONS


class Notice(msgspec.Struct, frozen=True):
    """A sentence with the page that it leads to. `alarm`: something broke."""

    title: str
    text: str
    link: str
    button: str
    alarm: bool


def notice(now: int) -> Notice | None:
    """The notice at `now` (µs), or None while everything is connected: one query."""
    listing = reverse("admin:integrations_integration_changelist")
    if not settings.FEATURE_CDP_ENABLED:
        return None
    rows = list(Integration.objects.order_by("-active", "-refused_at", "-id"))
    refused = next((row for row in rows if row.refused_at is not None and not row.active), None)
    active = next((row for row in rows if row.active), None)
    if active is not None and active.paused_until > now:
        text = f"{REASONS[active.paused_reason]} {active.last_error}".strip()
        return Notice(f"{active.name} is left alone for a moment", text, _page(active), "Look at it", alarm=True)
    if active is None and refused is not None:
        text = f"{refused.last_error} Customers are answered from our own store until it has working credentials."
        return Notice(f"{refused.name} was deactivated", text, _page(refused), "Correct it", alarm=True)
    if active is None and rows:
        text = "No integration is active: customers are answered from our own store."
        return Notice("Connect a CDP", text, listing, "Connect CDP", alarm=False)
    if active is None:
        text = (
            "Until one is connected, customers are answered from our own store: from events, and from files that were "
            "imported."
        )
        return Notice("Connect a CDP", text, reverse("admin:integrations_integration_add"), "Connect CDP", alarm=False)
    return None


def _page(row: Integration) -> str:
    return reverse("admin:integrations_integration_change", args=[row.pk])
