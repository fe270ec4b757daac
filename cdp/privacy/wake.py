"""Telling the worker that a request waits for it."""

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string


def wake() -> None:
    """Nudge the worker when the transaction that is open has committed. A lost nudge costs until the next sweep."""
    if settings.REQUESTS_WAKE:
        transaction.on_commit(import_string(settings.REQUESTS_WAKE))
