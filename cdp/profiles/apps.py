"""The profiles app."""

from django.apps import AppConfig


class ProfilesConfig(AppConfig):
    """Registers the app under the label `profiles`."""

    name = "cdp.profiles"
    label = "profiles"
    verbose_name = "Profiles"
    default_auto_field = "django.db.models.BigAutoField"
