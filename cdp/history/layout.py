"""Which traits have a column of their own in the lake."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cdp.lake.schema import Typed, typed_traits
from cdp.traits.catalogue import catalogue

if TYPE_CHECKING:
    import pyarrow as pa


def wanted_columns() -> dict[str, Typed]:
    """The columns that the catalogue asks for: of traits with a data type that are not personal."""
    return typed_traits(catalogue().kinds)


def stored_columns(schema: "pa.Schema") -> dict[str, Typed]:
    """The columns that the table has."""
    import pyarrow as pa

    kinds: Mapping[pa.DataType, str] = {
        pa.float64(): "number",
        pa.string(): "text",
        pa.bool_(): "flag",
        pa.int64(): "time",
        pa.list_(pa.string()): "list",
    }
    typed = [field for field in schema if field.name.startswith("t_")]
    return {field.name[2:]: Typed(field.name, kinds[field.type]) for field in typed}
