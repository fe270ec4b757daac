"""Reads on the hot path without the ORM: building a query's SQL anew costs it 0.7 to 1.8 ms, asking costs 0.05."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection


def rows_in(sql: str, values: Iterable[Any], params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a SELECT whose one `{in}` stands for the list `values`; an empty list answers without asking.

    Everything is a parameter (`%s`); `params` are the ones before `{in}`. On SQLite a UUID is text and a truth value is
    a number: `as_uuid` and bool() make them one.
    """
    wanted = list(values)
    if not wanted:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("{in}", f"({', '.join(['%s'] * len(wanted))})"), [*params, *wanted])
        return list(cursor.fetchall())


def as_uuid(value: uuid.UUID | str) -> uuid.UUID:
    """A UUID as the store gives it."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
