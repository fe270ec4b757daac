"""`manage.py changepassword`: Django's, recorded in the audit."""

from typing import Any

from django.contrib.auth.management.commands import changepassword

from cdp.access.users import recorded_users


class Command(changepassword.Command):
    """Sets the password of a user."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Ask, set, record."""
        with recorded_users(["password"]):
            return super().handle(*args, **options)
