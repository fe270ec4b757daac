"""Recognising the identifiers of erased people (IDENTITY.md rule 14)."""

import uuid
from collections.abc import Iterable

import msgspec
from django.conf import settings

from cdp.core.bulk import Database, Table
from cdp.core.crypto import Keyring
from cdp.core.errors import Conflict
from cdp.identities.models import SuppressedIdentifier
from cdp.identities.rules import Kind, Rules, indexed

KINDS = ("user_id", "email", "phone", "external")
"""What is suppressed: not devices and cookies, which others share."""

_TABLE = Table(
    "identities_suppressedidentifier",
    {
        "digest": "bytea",
        "type_id": "smallint",
        "request": "uuid",
        "created_at": "bigint",
        "lifted_at": "bigint",
        "lifted_by": "text",
        "why": "text",
    },
    key=("digest",),
)


class Suppression(msgspec.Struct, frozen=True):
    """What is to be recognised: the digest of `suppression_digest` and the number of its type."""

    digest: bytes
    type_id: int


def suppression_digest(keyring: Keyring, kind: Kind, namespace: str, text: str) -> bytes:
    """The digest of a normalised value under the key that never rotates: what `SuppressedIdentifier` holds."""
    return keyring.suppression_digest(indexed(kind, namespace, text))


def digest_of_value(rules: Rules, kind: Kind, namespace: str, value: str) -> bytes:
    """The digest of a value as somebody gives it; of one that cannot be an identifier it matches nothing."""
    spelling = rules.spelling(kind, value)
    return suppression_digest(settings.KEYRING, kind, namespace, spelling if spelling is not None else f"\0{value}")


class Suppressed(Conflict):
    """An identifier of an erased person was to be written."""

    code = "suppressed"

    def __init__(self) -> None:
        super().__init__(
            "This identifier belongs to a person who was erased. Lift its suppression first: that needs a right and a"
            " reason."
        )


def suppressed(db: Database, digests: Iterable[bytes]) -> set[bytes]:
    """Those of `digests` (of `suppression_digest`) that are suppressed and not lifted: one query."""
    sql = "select digest from identities_suppressedidentifier where lifted_at is null and digest {in}"
    return {bytes(row[0]) for row in db.rows_in(sql, digests, "bytea")}


def suppress(db: Database, wanted: Iterable[Suppression], *, request: uuid.UUID | None, now: int) -> None:
    """Keep these identifiers out from now (µs) on, in the transaction that is open on `db`: one statement.

    Call it within `cdp.pipeline.lease.exclusive`: then every micro-batch that is written later honours it. One that was
    lifted is suppressed anew.
    """
    rows = {one.digest: (one.digest, one.type_id, request, now, None, "", "") for one in wanted}
    db.upsert(_TABLE, list(rows.values()))


def lift(row: SuppressedIdentifier, *, by: str, why: str, now: int) -> SuppressedIdentifier:
    """Let messages with this identifier in again, as of somebody new. Raises Conflict when it was lifted before.

    Call it in the transaction that records it.
    """
    open_ = SuppressedIdentifier.objects.filter(pk=row.pk, lifted_at=None)
    if open_.update(lifted_at=now, lifted_by=by[:150], why=why[:500]) != 1:
        raise Conflict("This suppression was lifted before.", code="already_lifted")
    row.refresh_from_db()
    return row
