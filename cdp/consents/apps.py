"""The consents app."""

from django.apps import AppConfig


class ConsentsConfig(AppConfig):
    """Registers the app under the label `consents`."""

    name = "cdp.consents"
    label = "consents"
    verbose_name = "Consents"
    default_auto_field = "django.db.models.BigAutoField"
