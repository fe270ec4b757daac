"""The history app."""

from django.apps import AppConfig


class HistoryConfig(AppConfig):
    """Registers the app under the label `history`."""

    name = "cdp.history"
    label = "history"
    verbose_name = "History"
    default_auto_field = "django.db.models.BigAutoField"
