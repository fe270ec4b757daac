"""The access app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccessConfig(AppConfig):
    """Registers the app under the label `access`."""

    name = "cdp.access"
    label = "access"
    verbose_name = "Access"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have the roles made, and given what is new, after a migration."""
        from cdp.access.roles import update_roles  # models are not there before

        post_migrate.connect(update_roles, dispatch_uid="roles")
