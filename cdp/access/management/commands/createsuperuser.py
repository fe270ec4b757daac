"""`manage.py createsuperuser`: Django's, recorded in the audit."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser

from cdp.access.users import recorded_users


class Command(createsuperuser.Command):
    """Makes an administrator."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, make, record."""
        with recorded_users(["is_superuser", "password", "username"]):
            super().handle(*args, **options)
