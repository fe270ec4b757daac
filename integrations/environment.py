"""An integration that the environment describes completely is connected without a click."""

from cdp.access.audit import record_change
from cdp.core.clock import now_us
from integrations.connection import account_of, forget_connection
from integrations.models import Integration
from integrations.provider import incomplete
from integrations.providers import PROVIDERS


def connect_from_environment() -> Integration | None:
    """Make the integration of the first provider that the environment is complete for; None when there is any already.

    The row holds nothing of it: a later start with other variables uses those.
    """
    if Integration.objects.exists():
        return None
    now = now_us()
    for provider in PROVIDERS.values():
        row = Integration(provider=provider.code, name=provider.name, created_at=now, updated_at=now)
        if not incomplete(provider, account_of(row, provider)):
            row.save()
            record_change(
                "system", action="add", object_type="integration", object_ids=[row.public_id], fields=["provider"]
            )
            forget_connection()
            return row
    return None
