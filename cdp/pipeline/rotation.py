"""Rotating the master key: every encrypted body is sealed again and every blind index computed anew.

Works in chunks, each under the processing fence and in its own transaction, so it can be stopped and started again at
any moment, beside running workers: both keys are active until the old one is retired.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from cdp.access.audit import record_change, shell_actor
from cdp.core.bulk import Database, Table
from cdp.core.crypto import RELOAD_SECONDS
from cdp.core.errors import Conflict
from cdp.identities.rules import digest, load_rules
from cdp.identities.value import IdentifierBody, open_identifier, seal_identifier
from cdp.pipeline.lease import database, exclusive
from cdp.pipeline.spool import collect_spool

CHUNK = 2000
Progress = Callable[[str, int, int], None]
"""Called with the table, the rows that are done and all rows."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted column: its table and primary key, what it is sealed for, rows of a chunk (0: `CHUNK`)."""

    table: str
    purpose: str
    key: str = "id"
    column: str = "body"
    chunk: int = 0


SEALED = (
    Sealed("traits_traitdocument", "trait", "profile_id"),
    Sealed("consents_consentrecord", "consent"),
    Sealed("events_event", "event"),
    Sealed("events_quarantinedmessage", "message"),
    Sealed("pipeline_inboxmessage", "message"),
    Sealed("privacy_accesspackage", "package", column="key"),
    Sealed("privacy_erasure", "erasure", column="subject"),
    Sealed("privacy_privacyrequest", "request"),
    Sealed("privacy_requestnote", "request"),
    Sealed("privacy_requestnote", "request", column="content", chunk=20),
    Sealed("widget_api_widgetsecret", "widget secret"),
    Sealed("integrations_integration", "integration", column="credentials"),
)
"""Every encrypted column but that of identifiers, which are indexed anew too. A test finds one that is missing."""
SETTLING_SECONDS = RELOAD_SECONDS + 6
"""After this no process writes under the old key any more: it has read the ring again, and its last write has ended."""
_IDENTIFIERS = Table(
    "identities_identifier", {"digest": "bytea", "key_version": "smallint", "body": "bytea", "id": "bigint"}
)


def begin_rotation() -> int:
    """Make a new key current for all writers, or go on with a rotation that was stopped. Returns its version.

    A key that is in the ring but not yet in the lease row is one that nobody indexes with: it is used. Otherwise a new
    one is added to the key file; with keys from the environment ValueError says what to do.
    """
    ring = settings.KEYRING
    ring.refresh()
    with exclusive() as db:
        stored = db.rows("select key_version from pipeline_processinglease where id = 1")[0][0]
        if stored == ring.current and not _unfinished(db, stored):
            ring.add_key()
        db.execute("update pipeline_processinglease set key_version = ? where id = 1", (ring.current,))
        _record("rotate", [ring.current])
    return int(ring.current)


def rotate(version: int, *, progress: Progress) -> None:
    """Seal everything with the key `version`, which must be current; rows that have it already are passed over."""
    collect_spool()
    _rotate_identifiers(version, progress)
    for sealed in SEALED:
        total = database().rows(f"select count(*) from {sealed.table} where {sealed.column} is not null")[0][0]
        done = 0
        progress(sealed.table, 0, total)
        for rows in _chunks(sealed):
            done += len(rows)
            old = [row for row in rows if bytes(row[1][:1]) != bytes((version,))]
            if old:
                _seal_again(sealed, [row[0] for row in old])
            progress(sealed.table, done, total)


def retire_old_keys(version: int) -> list[int]:
    """Remove every key but `version` from the ring's file. Raises Conflict while a row still needs one of them."""
    db = database()
    left = _unfinished(db, version)
    if left:
        raise Conflict(f"{left} still has rows under an older key: run rotate_keys to the end first.")
    retired = [old for old in settings.KEYRING.versions if old != version]
    for old in retired:
        settings.KEYRING.retire(old)
    if retired:
        _record("retire", retired)
    return retired


def _record(action: str, versions: Sequence[int]) -> None:
    record_change(shell_actor(), action=action, object_type="keyring", object_ids=versions, fields=["keys"])


def _rotate_identifiers(version: int, progress: Progress) -> None:
    count = "select count(*) from identities_identifier where key_version <> ?"
    total = database().rows(count, (version,))[0][0]
    done = 0
    progress("identities_identifier", 0, total)
    select = "select id, type_id, namespace, digest, body from identities_identifier where key_version <> ? limit ?"
    while True:
        with exclusive() as db:
            rows = db.rows(select, (version, CHUNK))
            if not rows:
                return
            _index_again(db, rows, version)
        done += len(rows)
        progress("identities_identifier", min(done, total), total)


def _index_again(db: Database, rows: Sequence[tuple[Any, ...]], version: int) -> None:
    rules = load_rules(db, region=settings.DEFAULT_PHONE_REGION)
    kinds = {kind.id: kind for kind in rules.kinds.values()}
    updates, moved = [], []
    for id_, type_id, namespace, old, body in rows:
        opened: IdentifierBody = open_identifier(body)
        new = digest(settings.KEYRING, kinds[type_id], namespace, opened.value)
        updates.append((new, version, seal_identifier(opened), id_))
        moved.append((new, bytes(old)))
    db.update(_IDENTIFIERS, updates)
    _move_held(db, moved)


def _move_held(db: Database, moved: list[tuple[bytes, bytes]]) -> None:
    """A value that is held stays held under its new digest."""
    held = db.rows_in(
        "select digest from identities_quarantinedidentifier where digest {in}", [old for _, old in moved], "bytea"
    )
    wanted = {bytes(row[0]) for row in held}
    for new, old in moved:
        if old in wanted:
            db.execute("update identities_quarantinedidentifier set digest = ? where digest = ?", (new, old))


def _chunks(sealed: Sealed) -> Iterator[list[tuple[Any, ...]]]:
    last = -1
    select = (
        f"select {sealed.key}, {sealed.column} from {sealed.table}"
        f" where {sealed.column} is not null and {sealed.key} > ? order by {sealed.key} limit ?"
    )
    while rows := database().rows(select, (last, sealed.chunk or CHUNK)):
        yield rows
        last = rows[-1][0]


def _seal_again(sealed: Sealed, keys: list[int]) -> None:
    ring = settings.KEYRING
    with exclusive() as db:
        select = f"select {sealed.key}, {sealed.column} from {sealed.table} where {sealed.key} {{in}}"
        rows = db.rows_in(select, keys, "bigint")
        table = Table(sealed.table, {sealed.column: "bytea", sealed.key: "bigint"}, (sealed.key,))
        again = [(ring.encrypt(sealed.purpose, ring.decrypt(sealed.purpose, body)), key) for key, body in rows]
        db.update(table, again)


def _unfinished(db: Database, version: int) -> str | None:
    """The first table that holds a row under another key than `version`, or None."""
    sql = "select 1 from identities_identifier where key_version <> ? limit 1"
    if db.rows(sql, (version,)):
        return "identities_identifier"
    first = "get_byte({0}, 0) <> ?" if db.postgres else "substr({0}, 1, 1) <> cast(char(?) as blob)"
    for sealed in SEALED:
        differs = first.format(sealed.column)
        if db.rows(f"select 1 from {sealed.table} where {sealed.column} is not null and {differs} limit 1", (version,)):
            return sealed.table
    return None
