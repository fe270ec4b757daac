"""`manage.py create_api_key NAME --scopes a,b`: a key for the REST API."""

from typing import Any

from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from cdp.access.audit import record_change, shell_actor
from cdp.access.keys import SCOPES, add_api_key
from cdp.access.models import PROTECTED, ApiKey
from cdp.core.errors import DomainError


class Command(BaseCommand):
    """Makes an API key and prints it, which happens only now."""

    help = "Make an API key and print it. The same name, scopes and key again change nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--scopes", required=True, metavar="A,B", help=f"Any of {', '.join(SCOPES)}.")
        parser.add_argument("--role", metavar="GROUP", help="It sees what the people of this group see.")
        parser.add_argument(
            "--sees", metavar="A,B", help=f"What it sees in clear: any of {', '.join(PROTECTED)}, or none. Without it"
            " and a role: personal data with read or write, all with admin.",
        )  # fmt: skip
        parser.add_argument("--key", metavar="KEY", help="Use this key instead of a random one.")

    def handle(self, *, name: str, scopes: str, key: str | None, **options: Any) -> None:
        """Run. Raises CommandError with a sentence."""
        known = ApiKey.objects.filter(name=name).exists()
        try:
            with transaction.atomic():
                row, clear = add_api_key(
                    name, _names(scopes), key, role=_role(options["role"]), sees=_sight(options["sees"])
                )
                if not known:
                    record_change(
                        shell_actor(),
                        action="add",
                        object_type="apikey",
                        object_ids=[row.pk],
                        fields=["name", "scopes", "role", "classifications"],
                    )
        except DomainError as error:
            raise CommandError(error.message) from error
        if known:
            self.stdout.write(f"The API key {name} exists already with this key.")
            return
        self.stdout.write(f"API key {name} ({', '.join(row.scopes)}). Key (shown only now):\n{clear}")


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _sight(given: str | None) -> list[str] | None:
    return None if given is None else [name for name in _names(given) if name != "none"]


def _role(given: str | None) -> Group | None:
    if given is None:
        return None
    role = Group.objects.filter(name=given).first()
    if role is None:
        raise CommandError(
            f"There is no group {given!r}. There are: {', '.join(Group.objects.values_list('name', flat=True))}."
        )
    return role
