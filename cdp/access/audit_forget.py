"""Erasing a person from the audit: the entries stay, and the chain; whom they were about goes."""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from cdp.access.audit_chain import Payload, digest_of, fresh_salt, keys, mark_of
from cdp.access.audit_seal import database
from cdp.access.models import AuditEntry
from cdp.core import json
from cdp.core.bulk import Table

ERASED = "erased"
"""What stands where an id was."""
CHUNK = 500
_TABLE = Table(
    "access_auditentry", {"object_ids": "jsonb", "why": "text", "salt": "bytea", "mark": "bytea", "id": "bigint"}
)


def forget_objects(object_ids: Iterable[uuid.UUID | str]) -> int:
    """Put “erased” in the place of these ids in every entry; returns the entries that were changed.

    Who did what, when, to which fields stays; a reason in words goes, for it may name the person. The old salt is
    overwritten, so that the digest which the chain needs says nothing about the id. 500 entries in a transaction, each
    with two queries; what is done is not found again, so it may be stopped and called again.
    """
    gone = sorted({str(object_id) for object_id in object_ids})
    if not gone:
        return 0
    changed = 0
    while True:
        with transaction.atomic():
            rows = list(AuditEntry.objects.filter(_naming(gone)).order_by("id")[:CHUNK])
            database().update(_TABLE, [_without(row, frozenset(gone)) for row in rows])
        changed += len(rows)
        if len(rows) < CHUNK:
            return changed


def count_objects(object_ids: Iterable[uuid.UUID | str]) -> Counter[str]:
    """How many entries name each of these ids; one that names several counts for the first of them. One query."""
    named = {str(object_id) for object_id in object_ids}
    found: Counter[str] = Counter()
    if named:
        rows = AuditEntry.objects.filter(_naming(sorted(named))).order_by()
        for ids in rows.values_list("object_ids", flat=True).iterator():
            found[next(object_id for object_id in ids if object_id in named)] += 1
    return found


def _naming(object_ids: Sequence[str]) -> Q:
    if connection.vendor == "postgresql":
        return Q(object_ids__has_any_keys=object_ids)
    named = RawSQL(
        "select e.id from access_auditentry e, json_each(e.object_ids) j"
        " where j.value in (select value from json_each(%s))",
        (json.encode(object_ids).decode(),),
    )
    return Q(pk__in=named)


def _without(row: AuditEntry, gone: frozenset[str]) -> tuple[str, str, bytes, bytes, int]:
    ids = [ERASED if object_id in gone else object_id for object_id in row.object_ids]
    salt = fresh_salt()
    now = digest_of(
        salt,
        Payload(
            row.public_id.hex,
            row.at,
            row.actor,
            row.action,
            row.object_type,
            ids,
            row.fields,
            row.request_id,
            row.address,
            "",
        ),
    )
    mark = mark_of(keys().mark, bytes(row.digest), now)
    return json.encode(ids).decode(), "", salt, mark, row.pk
