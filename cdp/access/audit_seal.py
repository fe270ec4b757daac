"""The sealer: gives each committed row of the audit its place in the chain, then signs the head into a file.

A row without a place is one that waits, whatever its number: one that was committed late, behind rows with higher
numbers, is found like any other and chained when it is there. Numbers of transactions that were rolled back are missed
by nobody, because places are counted by the sealer.
"""

from django.db import connection, transaction

from cdp.access.audit import record_change
from cdp.access.audit_chain import keys, link
from cdp.access.audit_head import SignedHead, read_head, sign_head, write_head
from cdp.core.bulk import Database, Table
from cdp.core.clock import now_us
from cdp.core.errors import Conflict

BATCH = 500
_PLACES = Table("access_auditentry", {"place": "bigint", "chain": "bytea", "id": "bigint"})
_STATE = "select place, chain, exists (select 1 from access_auditentry where place is null) from access_audithead"
_WAITING = "select id, digest from access_auditentry where place is null order by id limit ?"
_MOVE = "update access_audithead set place = ?, chain = ?, sealed_at = ? where id = 1"


class ChainCut(Conflict):
    """The database ends before the head that was signed: rows were taken away, or an older backup was restored."""

    code = "chain_cut"


def seal() -> int:
    """Chain every row that waits, 500 in a transaction, and sign the head. Returns how many; one query when none waits.

    Whoever holds the lock of the head seals; a second sealer returns 0 at once. The file is written after the commit:
    one that died in between is made good by the next call. Raises ChainCut, and Invalid for a forged head, before
    anything is written: the evidence stays.
    """
    signed = read_head()  # before the database, which is never behind the file
    place, chain, waits = _state()
    _require_continuation(signed, place, chain)
    sealed = 0
    while waits:
        count = _seal_batch()
        sealed += count
        waits = count == BATCH
    if sealed:
        place, chain, _ = _state()
    if place and (signed is None or signed.place < place):
        write_head(sign_head(place, chain))
    return sealed


def accept_restored(actor: str, *, why: str) -> None:
    """Go on from an older state of the database than the head on disk knows: after a restore from a backup.

    The old head is put aside and an entry says who decided it, why, and how many rows the backup lacked. Raises
    Conflict when the chain was not cut.
    """
    signed = read_head()
    place, chain, _ = _state()
    try:
        _require_continuation(signed, place, chain)
    except ChainCut:
        assert signed is not None
        told = f"{why} (signed up to {signed.place}, restored to {place})"
        record_change(actor, action="restore", object_type="audit", object_ids=[], fields=["place", "chain"], why=told)
        write_head(sign_head(place, chain), restored=True)
        return
    raise Conflict("The database leads to the signed head: there is nothing to accept.", code="not_cut")


def _state() -> tuple[int, bytes, bool]:
    with connection.wrap_database_errors:
        place, chain, waits = database().rows(_STATE)[0]
    return place, bytes(chain), bool(waits)


def database() -> Database:
    """Set-based SQL on Django's connection."""
    connection.ensure_connection()
    return Database(connection.connection, postgres=connection.vendor == "postgresql")


def _require_continuation(signed: SignedHead | None, place: int, chain: bytes) -> None:
    """Raise ChainCut unless the chain of the database, which ends at `place`, goes through the signed head."""
    if signed is None or signed.place == 0:
        return
    there: bytes | None = chain if signed.place == place else None
    if signed.place < place:
        rows = database().rows("select chain from access_auditentry where place = ?", (signed.place,))
        there = bytes(rows[0][0] or b"") if rows else None
    if there is None or there.hex() != signed.chain:
        raise ChainCut(
            f"The audit was signed up to place {signed.place} on {signed.at}, and the database does not lead there:"
            " it was changed, or is an older backup. `manage.py audit verify` says more."
        )


def _seal_batch() -> int:
    """Four queries for up to `BATCH` rows; 0 when another process holds the lock."""
    skip = " for update skip locked" if connection.vendor == "postgresql" else ""
    key = keys().chain
    with connection.wrap_database_errors, transaction.atomic():
        db = database()
        head = db.rows(f"select place, chain from access_audithead where id = 1{skip}")
        waiting = db.rows(_WAITING, (BATCH,)) if head else []
        if not waiting:
            return 0
        place, chain = head[0][0], bytes(head[0][1])
        places = []
        for id_, digest in waiting:
            place, chain = place + 1, link(key, chain, bytes(digest))
            places.append((place, chain, id_))
        db.update(_PLACES, places)
        db.execute(_MOVE, (place, chain, now_us()))
    return len(waiting)
