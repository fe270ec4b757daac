"""The columns of the lake's two tables. All times are microseconds since 1970 in UTC.

Nothing here imports pyarrow before a schema is asked for: rules are checked in processes that never touch the lake.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = ("number", "text", "flag", "time", "list")
MAPS = {"number": "num", "text": "text", "flag": "flag", "time": "time", "list": "list"}
"""Kind of value → the map column that holds it where no typed column does."""
FOR_EVER = 2**63 - 1
"""In `consents`: granted without an end."""
DENIED = -1
"""In `consents`: withdrawn, or a grant that has run out."""

NEW, CURRENT, PAST = "new", "now", "past"
"""What `part` of people says: appended since the last compaction; the state then; superseded (`past-<day>`)."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A column of its own for the values of one key, when they are of its kind."""

    column: str
    kind: str


TYPED_PROPERTIES: Mapping[str, Typed] = {
    "revenue": Typed("p_revenue", "number"),
    "currency": Typed("p_currency", "text"),
    "category": Typed("p_category", "text"),
    "product_id": Typed("p_product_id", "text"),
    "productId": Typed("p_product_id", "text"),
    "name": Typed("p_name", "text"),
    "brand": Typed("p_brand", "text"),
    "price": Typed("p_price", "number"),
    "quantity": Typed("p_quantity", "number"),
    "order_id": Typed("p_order_id", "text"),
    "orderId": Typed("p_order_id", "text"),
    "coupon": Typed("p_coupon", "text"),
    "path": Typed("p_path", "text"),
}
"""Well-known properties. `p_amount` beside them is what was paid, exact, in `p_currency`."""

_COLUMN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def typed_traits(kinds: Mapping[str, str]) -> dict[str, Typed]:
    """The typed columns of catalogued traits (key → kind), in the order of their keys.

    A key that cannot be a column, or differs from an earlier one by case only, stays in the maps.
    """
    typed: dict[str, Typed] = {}
    taken: set[str] = set()
    for key, kind in sorted(kinds.items()):
        if _COLUMN_KEY.fullmatch(key) and key.lower() not in taken:
            taken.add(key.lower())
            typed[key] = Typed(f"t_{key}", kind)
    return typed


def arrow_type(kind: str) -> "pa.DataType":
    """The Arrow type of a value of that kind."""
    import pyarrow as pa

    return {
        "number": pa.float64(),
        "text": pa.string(),
        "flag": pa.bool_(),
        "time": pa.int64(),
        "list": pa.list_(pa.string()),
    }[kind]


@lru_cache
def events_schema() -> "pa.Schema":
    """`events`, without its partition column `month` (text, "2026-11", of `ts`).

    `id` is the event's number in the operational store, in the order in which events were committed; `digest` its
    public id; `profile` the fragment that owns it.
    """
    import pyarrow as pa

    typed = {entry.column: arrow_type(entry.kind) for entry in TYPED_PROPERTIES.values()}
    return pa.schema(
        [
            ("id", pa.int64()),
            ("digest", pa.binary()),
            ("profile", pa.int64()),
            ("source", pa.int32()),
            ("call", pa.int8()),
            ("type", pa.string()),
            ("event", pa.string()),
            ("ts", pa.int64()),
            ("received", pa.int64()),
            ("imported", pa.bool_()),
            ("p_amount", pa.decimal128(18, 4)),
            *typed.items(),
            *_maps(),
        ]
    )


def people_schema(typed: Iterable[Typed] = ()) -> "pa.Schema":
    """`people`, without its partition column `part`: one row per version of a person, keyed by (`person`, `version`).

    `version` is the fence under which the person was last described; the greatest one is the state now. `gone` says
    that the id is part of another person now, or deleted. `expires` holds when a trait's value ends, `consents` until
    when a consent type is granted. A typed value stands in the map of its kind too: the catalogue may change.
    """
    import pyarrow as pa

    return pa.schema(
        [
            ("person", pa.int64()),
            ("version", pa.int64()),
            ("at", pa.int64()),
            ("gone", pa.bool_()),
            ("fragments", pa.list_(pa.int64())),
            ("created", pa.int64()),
            *((entry.column, arrow_type(entry.kind)) for entry in typed),
            *_maps(),
            ("expires", pa.map_(pa.string(), pa.int64())),
            ("next_expiry", pa.int64()),
            ("consents", pa.map_(pa.string(), pa.int64())),
        ]
    )


def _maps() -> "list[tuple[str, pa.DataType]]":
    import pyarrow as pa

    return [(column, pa.map_(pa.string(), arrow_type(kind))) for kind, column in MAPS.items()]
