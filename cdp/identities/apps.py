"""The identities app."""

from django.apps import AppConfig


class IdentitiesConfig(AppConfig):
    """Registers the app under the label `identities`."""

    name = "cdp.identities"
    label = "identities"
    verbose_name = "Identities"
    default_auto_field = "django.db.models.BigAutoField"
