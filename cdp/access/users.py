"""Users that a command of Django's makes or changes: recorded as what a page does."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db.models.signals import post_save

from cdp.access.audit import record_change, shell_actor
from cdp.access.models import User


@contextmanager
def recorded_users(fields: Sequence[str]) -> Iterator[None]:
    """Every user that is saved within leaves an entry of who runs the command, in the transaction of `User.save`."""

    def record(instance: User, created: bool, **_signal: Any) -> None:
        action = "add" if created else "change"
        record_change(shell_actor(), action=action, object_type="user", object_ids=[instance.pk], fields=fields)

    post_save.connect(record, sender=User, weak=False)
    try:
        yield
    finally:
        post_save.disconnect(record, sender=User)
