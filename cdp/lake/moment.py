"""What a query stands on: the files of the lake at one version and the rows that have not reached it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cdp.lake.delta import LakeTable
from cdp.lake.schema import CURRENT, NEW, Typed, events_schema, people_schema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Files:
    """Parquet files of one schema. `dataset` gives them as a PyArrow dataset, for engines that cannot reach them."""

    places: tuple[str, ...]
    schema: "pa.Schema"
    dataset: Callable[[], Any]

    @classmethod
    def of(cls, table: LakeTable | None, schema: "pa.Schema", parts: Sequence[str] | None = None) -> "Files":
        """The files of `table`, of the partitions `parts` only if given; none for no table."""
        if table is None:
            return cls((), schema, schema.empty_table)
        found = [file for file in table.files() if parts is None or file.part in parts]
        names = schema.names
        wanted = parts or sorted({file.part for file in found})
        return cls(tuple(file.place for file in found), schema, lambda: table.dataset(wanted).scanner(columns=names))


@dataclass(frozen=True, slots=True)
class Moment:
    """One state of history. `deleted` are profiles whose events are still in the files and count no more; `members`
    current memberships (segment, person); `typed` the catalogued traits that `people` shall have a column for.
    """

    events: Files
    events_tail: "pa.Table"
    deleted: "pa.Table"
    current: Files
    fresh: Files
    people_tail: "pa.Table"
    members: "pa.Table"
    typed: Mapping[str, Typed] = field(default_factory=dict)


def event_files(table: LakeTable | None) -> Files:
    """The files of `events`."""
    return Files.of(table, events_schema())


def people_files(table: LakeTable | None) -> tuple[Files, Files]:
    """The files of `people`: the state at the last compaction, and the versions since."""
    schema = people_schema() if table is None else table.schema
    return Files.of(table, schema, [CURRENT]), Files.of(table, schema, [NEW])
