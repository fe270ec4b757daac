"""The traits app."""

from django.apps import AppConfig


class TraitsConfig(AppConfig):
    """Registers the app under the label `traits`."""

    name = "cdp.traits"
    label = "traits"
    verbose_name = "Traits"
    default_auto_field = "django.db.models.BigAutoField"
