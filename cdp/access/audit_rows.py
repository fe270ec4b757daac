"""How an entry of the audit becomes a row: in the transaction that is open, or else in one with others.

A read has no transaction, and what an entry costs then is the wait for the disk. So those who come together share it:
one thread writes what all have handed in, the others find theirs written when it is their turn. Nobody waits for
company, and a single caller writes at once.
"""

import threading
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import connection

from cdp.access.audit_chain import Payload, digest_of, fresh_salt, keys, mark_of

_COLUMNS = (
    "public_id", "at", "actor", "action", "object_type", "object_ids", "fields", "request_id", "address", "why", "salt",
    "digest", "mark",
)  # fmt: skip
_INSERT = f"insert into access_auditentry ({', '.join(_COLUMNS)}) values "
_MARKS = f"({', '.join(['%s'] * len(_COLUMNS))})"
_MOST = 100

_handing_in = threading.Lock()
_writing = threading.Lock()
_waiting: list["_Handed"] = []


class _Handed:
    """A row that waits to be written."""

    __slots__ = ("row", "written")

    def __init__(self, row: Sequence[Any]) -> None:
        self.row, self.written = row, False


def write_entry(entry: Payload) -> None:
    """Write a row, as a part of the transaction that is open; without one it is durable on return, or this raises."""
    row = _row(entry)
    if connection.in_atomic_block:
        _insert([row])
        return
    handed = _Handed(row)
    with _handing_in:
        _waiting.append(handed)
    while not handed.written:
        with _writing:
            if not handed.written:
                _write_group(handed)


def _write_group(own: _Handed) -> None:
    """Write what was handed in so far. When that fails it is the error of `own` alone: the others try themselves."""
    with _handing_in:
        group = _waiting[:_MOST]
        del _waiting[:_MOST]
    try:
        _insert([handed.row for handed in group])
    except BaseException:
        with _handing_in:
            _waiting[:0] = [handed for handed in group if handed is not own]
            if own in _waiting:
                _waiting.remove(own)
        raise
    for handed in group:
        handed.written = True


def _insert(rows: Sequence[Sequence[Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_INSERT + ", ".join([_MARKS] * len(rows)), [value for row in rows for value in row])


def _row(entry: Payload) -> Sequence[Any]:
    salt = fresh_salt()
    digest = digest_of(salt, entry)
    return (
        uuid.UUID(entry.public_id) if connection.vendor == "postgresql" else entry.public_id,
        entry.at,
        entry.actor,
        entry.action,
        entry.object_type,
        msgspec.json.encode(entry.object_ids).decode(),
        msgspec.json.encode(entry.fields).decode(),
        entry.request_id,
        entry.address,
        entry.why,
        salt,
        digest,
        mark_of(keys().mark, digest, digest),
    )
