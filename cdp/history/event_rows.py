"""Hot events as rows of the lake."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cdp.core.bulk import Database
from cdp.core.crypto import KeyMissing
from cdp.events.body import Said, open_said
from cdp.events.money import money
from cdp.lake.event_rows import EventRows
from cdp.traits.catalogue import personal_keys

if TYPE_CHECKING:
    import pyarrow as pa

_TRACK = 1
_NOT_OF_EVENTS = frozenset({"name", "title", "age", "company.phone"})
"""Of a person they are personal; of an event they are a product's name, a page's title."""
_COLUMNS = "id, digest, profile_id, source_id, call, type, name, ts, received, body"
_log = logging.getLogger(__name__)


def events_rows(db: Database, after: int, limit: int | None = None) -> "pa.Table":
    """The hot events with an id above `after`, by id, at most `limit`: one query, and no more than once decoded."""
    sql = f"select {_COLUMNS} from events_event where id > ? order by id"
    rows = db.rows(sql, (after,)) if limit is None else db.rows(f"{sql} limit ?", (after, limit))
    return as_lake_rows(rows)


def as_lake_rows(rows: Iterable[tuple[Any, ...]]) -> "pa.Table":
    """Rows of the columns id, digest, profile, source, call, type, name, ts, received, body (sealed)."""
    keys = personal_keys() - _NOT_OF_EVENTS
    made = EventRows(keys.__contains__)
    for id_, digest, *plain, body in rows:
        said = _opened(body, id_)
        paid = money(said.properties, []) if plain[3] == "PURCHASE" and plain[2] == _TRACK else None
        made.add((id_, bytes(digest), *plain), said.properties, said.context, imported=said.imported, money=paid)
    return made.table()


def _opened(body: bytes, id_: int) -> Said:
    """What it said; without the key to it, nothing, so that one lost key does not stop history."""
    try:
        return open_said(body)
    except KeyMissing:
        _log.error("Event %s goes to the lake without its properties: it was encrypted with a key that is gone.", id_)
        return Said(message_id=_NONE, properties={}, context={}, identifiers=_NONE)


_NONE: Any = b""
