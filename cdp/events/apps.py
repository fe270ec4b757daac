"""The events app."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Registers the app under the label `events`."""

    name = "cdp.events"
    label = "events"
    verbose_name = "Events"
    default_auto_field = "django.db.models.BigAutoField"
