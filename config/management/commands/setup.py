"""`manage.py setup`: everything between an empty DATA_DIR and the first event. Safe to run at every start."""

import os
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from cdp.access.audit import record_change, shell_actor
from cdp.access.keys import add_api_key, add_write_key, new_key
from cdp.access.models import ApiKey, Source, User, WriteKey
from cdp.pipeline.models import InboxMessage
from cdp.pipeline.spool import collect_spool
from cdp.privacy.restore import replay_erasures
from cdp.profiles.models import Profile
from integrations.environment import connect_from_environment


class Command(BaseCommand):
    """Tables, the user `admin`, a first source with a write key, a first API key, and demo data if asked for.

    What is there already stays as it is. A password or key is printed in the transaction that makes it, and never kept
    in clear: if the start is interrupted, either it was printed or the next start makes another.
    """

    help = "Prepare the installation: tables, the user admin, first keys, demo data. Safe to repeat."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """How much demo data."""
        parser.add_argument("--demo", type=int, default=0, metavar="N", help="N demo profiles if nobody is there yet")

    def handle(self, *, demo: int, **_options: Any) -> None:
        """Each step looks whether it is needed. Raises CommandError when the database does not answer."""
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise CommandError(
                f"The database ({connection.vendor}) does not answer: is it running, and is DATABASE_URL right?"
                " Its own log says more."
            ) from error
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write(f"Preparing the database ({connection.vendor}) …")
            call_command("migrate", verbosity=0, interactive=False)
        replayed = replay_erasures()
        if replayed:
            self.stdout.write(f"The database is older than the journal of erasures: {replayed} are carried out again.")
        self._admin()
        write_key = self._source()
        api_key = self._api_key()
        connected = connect_from_environment()
        if connected:
            self.stdout.write(f"Connected  {connected} (by the environment)")
        collect_spool()
        if demo and not Profile.objects.exists() and not InboxMessage.objects.exists():
            self.stdout.write(f"Loading a small demo data set ({demo} people) …")
            call_command("seed_demo", profiles=demo)
        if write_key:
            self._first_event(write_key, api_key)

    @transaction.atomic
    def _admin(self) -> None:
        if User.objects.filter(username="admin").exists():
            return
        given = os.environ.get("ADMIN_PASSWORD", "")
        password = given or new_key()[:16]
        user = User.objects.create_superuser("admin", password=password)
        _record("user", user.pk, "username", "password", "is_superuser")
        shown = "ADMIN_PASSWORD" if given else f"{password}   (shown once)"
        self.stdout.write(f"User       admin, password {shown}")

    @transaction.atomic
    def _source(self) -> str:
        if WriteKey.objects.exists():
            return ""
        source, _ = Source.objects.get_or_create(name="My app", defaults={"kind": Source.Kind.SERVER})
        key = add_write_key(source)
        _record("source", source.pk, "name", "kind", "write_keys")
        self.stdout.write(f"Write key  {key}   (source {source.name}; shown once)")
        return key

    @transaction.atomic
    def _api_key(self) -> str:
        if ApiKey.objects.exists():
            return ""
        row, key = add_api_key("First key", ["read", "write"])
        _record("apikey", row.pk, "name", "scopes")
        self.stdout.write(f"API key    {key}   (may read and write; shown once)")
        return key

    def _first_event(self, write_key: str, api_key: str) -> None:
        url = settings.PUBLIC_URL
        body = '{"type":"identify","userId":"u-1","traits":{"email":"ada@example.com","firstName":"Ada"}}'
        self.stdout.write(
            f"\nOnce it runs, send a first event:\n\n  curl -u {write_key}: {url}/v1/identify -d '{body}'\n"
        )
        if api_key:
            look = f"{url}/api/v1/cdp/profiles/search"
            asked = '{"query":"ada@example.com"}'
            json = "-H 'Content-Type: application/json'"
            self.stdout.write(f"\nand see the person:\n\n  curl -H 'X-API-Key: {api_key}' {json} {look} -d '{asked}'\n")


def _record(object_type: str, object_id: int, *fields: str) -> None:
    record_change(
        shell_actor(), action="add", object_type=object_type, object_ids=[object_id], fields=fields, why="setup"
    )
