"""Scanning the operational store: every table of every model, each column in the way it is to be decoded."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db import models

from cdp.access.audit_forget import count_objects
from cdp.access.models import AuditEntry
from cdp.core.crypto import KeyMissing
from cdp.identities.models import Identifier
from cdp.identities.value import open_identifier
from cdp.pipeline.lease import database
from cdp.pipeline.message import original, unseal
from cdp.privacy.erase_waiting import STORES, look_through
from cdp.privacy.opened import readable
from cdp.privacy.proof_columns import SEALED, TOMBSTONES, How, label, tables
from cdp.privacy.proof_scope import Scope

_CHUNK = 5_000
Progress = Callable[[str, int, int], None]


class Scanned(msgspec.Struct):
    """What was looked at in a store, and what was found. `others`: identifiers of theirs that somebody else has too,

    which stay with them; `kept`: bare numbers that say that a profile is gone.
    """

    looked: dict[str, str] = {}
    found: int = 0
    others: int = 0
    kept: int = 0


def scan_store(scope: Scope, progress: Progress) -> dict[str, Scanned]:
    """Every table by name."""
    result: dict[str, Scanned] = {}
    every = list(tables())
    for number, (model, columns) in enumerate(every):
        table = model._meta.db_table
        progress(table, number, len(every))
        scanned = result[table] = Scanned({name: how.value for name, how in columns.items()})
        for name, how in columns.items():
            if how is How.NUMBER:
                _numbers(scope, model, name, scanned)
            elif how is How.ID:
                scanned.found += _count(table, name, list(scope.public_ids), "uuid")
            elif how is How.BLIND:
                scanned.found += _count(table, name, scope.alone | scope.kept_out, "bytea")
            elif how is How.LOOKUP:
                digests = {d for customer in scope.customers for d in settings.KEYRING.digests("lookup", customer)}
                scanned.found += _count(table, name, digests, "bytea")
        searched = [name for name, how in columns.items() if how in (How.TEXT, How.SEALED, How.COOKIE)]
        if searched:
            scanned.found += sum(_search(scope, model, searched, columns))
    _messages(scope, result)
    _shared(scope, result[Identifier._meta.db_table])
    return result


def _numbers(scope: Scope, model: type[models.Model], column: str, scanned: Scanned) -> None:
    found = _count(model._meta.db_table, column, scope.numbers, "bigint")
    if label(model, column) in TOMBSTONES:
        scanned.kept += found
    else:
        scanned.found += found


def _count(table: str, column: str, wanted: Any, kind: str) -> int:
    rows = database().rows_in(f'select count(*) from {table} where "{column}" {{in}}', wanted, kind)
    return int(rows[0][0]) if rows else 0


def _search(scope: Scope, model: type[models.Model], names: list[str], columns: dict[str, How]) -> Iterator[int]:
    """1 for each row that names one of them."""
    table = model._meta.db_table
    if model is AuditEntry:
        named = {str(one) for one in scope.public_ids}
        yield sum(count_objects(named).values())
        names = ["why"]
    listed = ", ".join(f'"{name}"' for name in names)
    some = " or ".join(
        f'"{name}" is not null'
        if columns[name] is How.SEALED
        else f'("{name}" is not null and cast("{name}" as text) <> \'\')'
        for name in names
    )
    for row in rows_of(f"select {listed} from {table} where {some}"):
        texts = (_text(model, name, columns[name], value) for name, value in zip(names, row, strict=True))
        if any(text and scope.in_text(text) for text in texts):
            yield 1


def rows_of(sql: str) -> Iterator[tuple[Any, ...]]:
    """All rows, without holding them all: a cursor of the driver's own. Nothing else may be asked meanwhile."""
    db = database()
    if db.postgres:
        with db.connection.cursor() as cursor:
            yield from cursor.stream(sql)
    else:
        yield from db.connection.execute(sql)


def _text(model: type[models.Model], name: str, how: How, value: Any) -> str:
    if value is None:
        return ""
    if how is How.SEALED:
        try:
            return readable(settings.KEYRING.decrypt(SEALED[label(model, name)], value))
        except KeyMissing:
            return ""
    if how is How.COOKIE:
        return str(SessionStore().decode(value))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _messages(scope: Scope, result: dict[str, Scanned]) -> None:
    """What waits in the inbox and in quarantine, opened.

    While an erasure runs, what came after its suppression does not count: the gate stops it before it is stored, and
    as long as a sender goes on there is always some of it on the way.
    """
    if scope.work is not None:
        began = {row.pk: row.started_at for row in scope.work.erasures}
        for store, rows in look_through(scope.work).rows.items():
            there = database().rows_in(f"select id, received from {store} where id {{in}}", rows, "bigint")
            result[store].found += sum(received <= began[rows[id_]] for id_, received in there)
        return
    for store in STORES:
        for (body,) in rows_of(f"select body from {store}"):
            try:
                text = original(unseal(settings.KEYRING, body)).decode("utf-8", "replace")
            except KeyMissing:
                continue
            result[store].found += scope.in_text(text)


def _shared(scope: Scope, scanned: Scanned) -> None:
    """Identifiers of theirs that somebody else has too. Later the values must be opened to be compared."""
    table = Identifier._meta.db_table
    if scope.work is not None:
        scanned.others = _count(table, "digest", scope.kept_out, "bytea")
        return
    codes = {kind.id: kind.code for kind in scope.rules.kinds.values()}
    for type_id, namespace, body in rows_of(f"select type_id, namespace, body from {table}"):
        try:
            scanned.others += scope.is_value(codes[type_id], namespace, open_identifier(body).value)
        except KeyMissing:
            continue
