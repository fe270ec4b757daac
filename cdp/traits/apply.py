"""Writing what messages say of profiles into their trait documents: two queries per micro-batch."""

from collections.abc import Iterable, Mapping
from typing import Any

from cdp.core.bulk import Database, Table
from cdp.traits.document import Document, TraitValue, open_document, seal_document
from cdp.traits.golden import beats

DOCUMENTS = Table(
    "traits_traitdocument", {"profile_id": "bigint", "updated_at": "bigint", "body": "bytea"}, ("profile_id",)
)
MAX_KEYS = 1000
MAX_KEY_LENGTH = 200


def load_documents(db: Database, profile_ids: Iterable[int]) -> dict[int, Document]:
    """The documents of those profiles that have one."""
    rows = db.rows_in("select profile_id, body from traits_traitdocument where profile_id {in}", profile_ids, "bigint")
    return {profile_id: open_document(body) for profile_id, body in rows}


def store_documents(db: Database, documents: Mapping[int, Document], *, now: int) -> None:
    """Write whole documents."""
    db.upsert(DOCUMENTS, [(profile_id, now, seal_document(doc)) for profile_id, doc in documents.items()])


def apply_traits(
    document: Document, traits: Mapping[str, Any], *, at: int, source_id: int, priority: int
) -> tuple[bool, bool]:
    """Put `traits` into `document` where they win by the golden rule; a null never overwrites.

    Returns whether the document changed, and whether a key was left out because the document is full or the key too
    long (the event keeps it).
    """
    changed = refused = False
    for key, value in traits.items():
        if value is None:
            continue
        old = document.get(key)
        if old is None and (len(document) >= MAX_KEYS or not 0 < len(key) <= MAX_KEY_LENGTH):
            refused = True
            continue
        new = TraitValue(value, at, source_id, priority)
        if old is not None and old.live(at) and not beats(new, old):
            continue
        if old is not None and old.value == value and old.at == at and old.source_id == source_id:
            continue
        document[key] = new
        changed = True
    return changed, refused
