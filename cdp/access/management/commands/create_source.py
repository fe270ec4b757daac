"""`manage.py create_source NAME`: a source of messages with a write key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from cdp.access.audit import record_change, shell_actor
from cdp.access.keys import add_write_key
from cdp.access.models import Source
from cdp.core.errors import DomainError


class Command(BaseCommand):
    """Makes the source if there is none of that name and gives it a key; prints the key, which is shown only now."""

    help = "Make a source and print its write key. The same name and key again change nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--write-key", metavar="KEY", help="Use this key instead of a random one.")
        parser.add_argument(
            "--kind", choices=Source.Kind.values, help="server: secret key, trusted (default). browser: public key."
        )

    def handle(self, *, name: str, write_key: str | None, kind: str | None, **_options: Any) -> None:
        """Run. Raises CommandError with a sentence."""
        if not name.strip() or len(name) > 100:
            raise CommandError("Give the source a name of 1 to 100 characters.")
        try:
            with transaction.atomic():
                source, key, known = self._make(name, write_key, kind)
        except DomainError as error:
            raise CommandError(error.message) from error
        if known:
            self.stdout.write(f"The source {name} has this key already.")
            return
        self.stdout.write(f"Source {name} ({source.kind}). Write key (shown only now):\n{key}")

    def _make(self, name: str, write_key: str | None, kind: str | None) -> tuple[Source, str, bool]:
        """The source, its key in clear, and whether both were there before."""
        source, made = Source.objects.get_or_create(name=name, defaults={"kind": kind or Source.Kind.SERVER})
        if kind is not None and source.kind != kind:
            raise CommandError(f"There is a source {name} of kind {source.kind}. Use another name.")
        before = source.write_keys.count()
        key = add_write_key(source, write_key)
        added = source.write_keys.count() > before
        if made:
            record_change(
                shell_actor(), action="add", object_type="source", object_ids=[source.pk], fields=["kind", "name"]
            )
        if added:
            record_change(
                shell_actor(), action="add key", object_type="source", object_ids=[source.pk], fields=["write_keys"]
            )
        return source, key, not (made or added)
