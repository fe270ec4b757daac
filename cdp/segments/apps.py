"""The segments app."""

from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    """Registers the app under the label `segments`."""

    name = "cdp.segments"
    label = "segments"
    verbose_name = "Segments"
    default_auto_field = "django.db.models.BigAutoField"
