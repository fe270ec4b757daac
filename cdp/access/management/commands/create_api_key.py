"""`manage.py create_api_key NAME --scopes a,b`: a key for the REST API."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cdp.access.keys import SCOPES, add_api_key
from cdp.access.models import ApiKey
from cdp.core.errors import DomainError


class Command(BaseCommand):
    """Makes an API key and prints it, which happens only now."""

    help = "Make an API key and print it. The same name, scopes and key again change nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--scopes", required=True, metavar="A,B", help=f"Any of {', '.join(SCOPES)}.")
        parser.add_argument("--key", metavar="KEY", help="Use this key instead of a random one.")

    def handle(self, *, name: str, scopes: str, key: str | None, **_options: Any) -> None:
        """Run. Raises CommandError with a sentence."""
        known = ApiKey.objects.filter(name=name).exists()
        try:
            row, clear = add_api_key(name, [scope.strip() for scope in scopes.split(",") if scope.strip()], key)
        except DomainError as error:
            raise CommandError(error.message) from error
        if known:
            self.stdout.write(f"The API key {name} exists already with this key.")
            return
        self.stdout.write(f"API key {name} ({', '.join(row.scopes)}). Key (shown only now):\n{clear}")
