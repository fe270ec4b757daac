"""The widget app."""

from django.apps import AppConfig


class WidgetConfig(AppConfig):
    """Registers the app under the label `widget_api`."""

    name = "widget_api"
    verbose_name = "Widget"
    default_auto_field = "django.db.models.BigAutoField"
