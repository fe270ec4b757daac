"""A transaction for the modules that write many memberships at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from cdp.core.bulk import Database
from cdp.history.reading import database


@contextmanager
def writing() -> Iterator[Database]:
    """A transaction; on SQLite it holds the write lock from its start."""
    with connection.wrap_database_errors, transaction.atomic():
        yield database()
