"""The access app."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Registers the app under the label `access`."""

    name = "cdp.access"
    label = "access"
    verbose_name = "Access"
    default_auto_field = "django.db.models.BigAutoField"
