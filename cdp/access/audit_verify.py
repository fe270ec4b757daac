"""Verifying the audit: every row by its seals, all of them by the chain, its end by the signed head.

What was changed, removed, put in or moved is found as long as the key ring was not in the same hands. Only a row that
was removed before it was sealed, within the first seconds, leaves no trace.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from django.db import connection

from cdp.access.audit_chain import FIRST, Keys, Payload, digest_of, keys, link, mark_of
from cdp.access.audit_head import SignedHead, read_head
from cdp.access.audit_seal import database
from cdp.access.models import AuditHead
from cdp.core.clock import now_us
from cdp.core.errors import Invalid

CHUNK = 5000
_decode = msgspec.json.Decoder(list[str]).decode

Progress = Callable[[int, int], None]
"""Called with the rows that are verified and all rows."""


class Verification(msgspec.Struct, frozen=True):
    """What was found. `rows` were verified up to the first bad one, `erased` of them had a person erased.

    `waiting` rows are not sealed yet (since `oldest` µs). `entry` is the number of the first bad row, when a row is to
    blame; a blank `problem` says that all is as it was written.
    """

    rows: int
    erased: int
    waiting: int
    oldest: int | None
    problem: str
    entry: int | None = None


class _Bad(Exception):
    def __init__(self, problem: str, entry: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.entry = problem, entry


class _Row(msgspec.Struct, array_like=True):
    """A row as `_COLUMNS` gives it, and what it said when it was read."""

    id: int
    place: int | None
    chain: bytes
    salt: bytes
    digest: bytes
    mark: bytes
    payload: Payload


def verify(*, progress: Progress = lambda _done, _all: None, head: SignedHead | None = None) -> Verification:
    """Verify everything that was sealed before the call, and what waits; keep the result beside the head.

    `head` is a copy of an earlier signed head to verify against, besides the one on disk. Writes nothing but the
    result. May run beside the sealer. Takes a constant memory.
    """
    run = _Run(keys())
    try:
        run.all(progress, head)
        found = Verification(run.rows, run.erased, run.waiting, run.oldest, "")
    except _Bad as bad:
        found = Verification(run.rows, run.erased, run.waiting, run.oldest, bad.problem, bad.entry)
    kept = {"verified_at": now_us(), "verified_rows": found.rows, "problem": found.problem[:300]}
    AuditHead.objects.filter(pk=1).update(**kept)
    return found


class _Run:
    """One verification: how far it got."""

    def __init__(self, key: Keys) -> None:
        self.key = key
        self.rows = self.erased = self.waiting = 0
        self.oldest: int | None = None

    def all(self, progress: Progress, head: SignedHead | None) -> None:
        """Raises _Bad for the first thing that is wrong."""
        signed = _signed_heads(head)
        end = database().rows("select place, chain from access_audithead where id = 1")
        if not end:
            raise _Bad("The row that says where the chain ends is missing.")
        last, value = end[0][0], bytes(end[0][1])
        total = max([last, *signed])
        progress(0, total)
        self._chain(last, value, signed, lambda: progress(self.rows, total))
        self._beyond()
        self._waiting()
        progress(total, total)

    def _chain(self, last: int, value: bytes, signed: dict[int, str], step: Callable[[], None]) -> None:
        chain = FIRST
        for chunk in _chunks(last):
            for row in chunk:
                if row.place != self.rows + 1:
                    missing = f"{self.rows + 1}" + (f" to {row.place - 1}" if row.place > self.rows + 2 else "")
                    raise _Bad(f"Place {missing} is empty: rows were removed before entry {row.id}.", row.id)
                self._row(row)
                chain = link(self.key.chain, chain, row.digest)
                if row.chain != chain:
                    raise _Bad(
                        f"Entry {row.id} (place {row.place}) does not follow the one before it: rows were removed,"
                        " put in or moved there.",
                        row.id,
                    )
                self.rows += 1
                if signed.get(self.rows, chain.hex()) != chain.hex():
                    raise _Bad(f"Entry {row.id} (place {row.place}) is not the one whose place was signed.", row.id)
            step()
        if self.rows < max([last, *signed]):
            raise _Bad(f"The chain ends at place {self.rows}, and went to {max([last, *signed])}: its end was removed.")
        if chain != value:
            raise _Bad(f"The row that says where the chain ends does not fit place {self.rows}.")

    def _row(self, row: _Row) -> None:
        now = digest_of(row.salt, row.payload)
        if row.mark != mark_of(self.key.mark, row.digest, now):
            raise _Bad(f"Entry {row.id} was changed, or was not written by this installation.", row.id)
        self.erased += now != row.digest

    def _beyond(self) -> None:
        """Rows with a place where the chain has not been."""
        for where in ("place > (select place from access_audithead where id = 1)", "place < 1"):
            found = database().rows(f"select id from access_auditentry where {where} order by place limit 1")
            if found:
                raise _Bad(f"Entry {found[0][0]} has a place that the sealer never gave.", found[0][0])

    def _waiting(self) -> None:
        after = 0
        while rows := _rows("place is null and id > ? order by id limit ?", (after, CHUNK)):
            for row in rows:
                self._row(row)
            self.waiting += len(rows)
            self.oldest = min(row.payload.at for row in rows) if self.oldest is None else self.oldest
            after = rows[-1].id


def _signed_heads(copy: SignedHead | None) -> dict[int, str]:
    """Place → chain value (hex) of the heads that were signed."""
    try:
        heads = [head for head in (read_head(), copy) if head is not None and head.place]
    except Invalid as error:
        raise _Bad(error.message) from error
    return {head.place: head.chain for head in heads}


def _chunks(last: int) -> Iterator[list[Any]]:
    """The rows with a place up to `last`, in its order."""
    after = 0
    while rows := _rows("place > ? and place <= ? order by place limit ?", (after, last, CHUNK)):
        yield rows
        assert rows[-1].place is not None
        after = rows[-1].place


def _rows(where: str, params: tuple[int, ...]) -> list[_Row]:
    text = "::text" if connection.vendor == "postgresql" else ""
    sql = (
        f"select id, place, chain, salt, digest, mark, public_id{text}, at, actor, action, object_type,"
        f" object_ids{text}, fields{text}, request_id, address, why from access_auditentry where {where}"
    )
    with connection.wrap_database_errors:
        found = database().rows(sql, params)
    return [_row_of(row) for row in found]


def _row_of(row: tuple[Any, ...]) -> _Row:
    try:
        ids, names = _decode(row[11]), _decode(row[12])
    except (msgspec.DecodeError, TypeError):
        raise _Bad(f"Entry {row[0]} was changed: it is no list of ids and fields any more.", row[0]) from None
    said = Payload(row[6].replace("-", ""), row[7], row[8], row[9], row[10], ids, names, row[13], row[14], row[15])
    return _Row(row[0], row[1], bytes(row[2] or b""), bytes(row[3]), bytes(row[4]), bytes(row[5]), said)
