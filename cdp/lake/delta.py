"""A table of the lake: Delta Lake in a folder or an object store, written exactly once by position.

Every commit carries the position (how far in the operational store the table has come) as an application transaction:
a writer that opened the table before another commit is refused, however the two came about. Nothing that identifies is
in the log: no statistics but for times, and no ids in predicates.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdp.lake.errors import ForeignLake, Overtaken

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem

_KEPT_HOURS = 1
_CHECKPOINT_EVERY = 20
_MAX_ROW_GROUP = 200_000
_IMPATIENT = {"connect_timeout": "5s", "retry_timeout": "15s", "max_retries": "3"}
"""While a store says which files it has no other thread of the process runs: that may not last long."""
_DELTAS = ("id", "ts", "received", "version", "at", "created")


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the tables: name, partition column, the order of rows in a compacted file, the columns with
    statistics, the position of an empty table, and the columns of random bytes, which no dictionary makes smaller.
    """

    name: str
    partition: str
    order: tuple[str, ...]
    statistics: str
    start: int
    random: tuple[str, ...] = ()


EVENTS = Kind("events", "month", ("profile", "ts", "id"), "ts", 0, ("digest",))
PEOPLE = Kind("people", "part", ("person", "version"), "at", -1)


@dataclass(frozen=True, slots=True)
class File:
    """A Parquet file of the table: its place for an engine, its partition, its rows and bytes."""

    place: str
    part: str
    rows: int
    bytes: int


class LakeTable:
    """The table at `url` as it was when this was made. Every write goes through the snapshot that it holds, so it is

    refused (`Overtaken`) when anybody has committed since; make a new one to look again.
    """

    def __init__(self, table: "DeltaTable", kind: Kind) -> None:
        self._table = table
        self.kind = kind

    @classmethod
    def open(cls, url: str, kind: Kind, *, store: str) -> "LakeTable | None":
        """The table of that kind below `url`, or None before its first write.

        `store` is the id of the operational store it must belong to. Raises ForeignLake.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        place = _below(url, kind.name)
        if not _is_remote(place) and not (Path(place) / "_delta_log").is_dir():
            return None
        try:
            table = DeltaTable(place)
        except TableNotFoundError:
            return None
        owner = table.metadata().description
        if owner != store:
            raise ForeignLake(
                f"The lake at {url} was written by another store ({owner}). Point LAKE_URL elsewhere, or make it anew"
                " with: manage.py lake rebuild",
                details={"lake": owner, "store": store},
            )
        return cls(table, kind)

    @classmethod
    def create(cls, url: str, kind: Kind, schema: "pa.Schema", *, store: str, overwrite: bool = False) -> "LakeTable":
        """An empty table with the columns of `schema`; one that is there stays, unless `overwrite`."""
        import pyarrow as pa
        from deltalake import DeltaTable

        place = _below(url, kind.name)
        if not _is_remote(place):
            Path(place).mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(
            place,
            pa.schema([*schema, (kind.partition, pa.string())]),
            mode="overwrite" if overwrite else "ignore",
            partition_by=[kind.partition],
            name=kind.name,
            description=store,
            commit_properties=_commit(kind, kind.start),
            configuration={
                "delta.dataSkippingStatsColumns": kind.statistics,
                "delta.checkpointInterval": str(_CHECKPOINT_EVERY),
                "delta.logRetentionDuration": f"interval {_KEPT_HOURS} hours",
                "delta.deletedFileRetentionDuration": f"interval {_KEPT_HOURS} hours",
            },
        )
        return cls(table, kind)

    @property
    def version(self) -> int:
        """Delta's number of this state."""
        return self._table.version()

    @property
    def position(self) -> int:
        """How far in the operational store it has come."""
        found = self._table.transaction_version(self.kind.name)
        return self.kind.start if found is None else found

    @property
    def schema(self) -> "pa.Schema":
        """The columns, without the partition column."""
        import pyarrow as pa

        whole = pa.schema(self._table.schema())
        return pa.schema([field for field in map(_plain, whole) if field.name != self.kind.partition])

    def files(self) -> list[File]:
        """The files of this state, in a fixed order."""
        import pyarrow as pa

        actions = pa.table(self._table.get_add_actions(flatten=True))
        root = self._table.table_uri
        wanted = [actions[name].to_pylist() for name in ("path", "num_records", "size_bytes")]
        parts = actions[f"partition.{self.kind.partition}"].to_pylist()
        return sorted(
            (File(_place(root, path), part, rows, size) for path, rows, size, part in zip(*wanted, parts, strict=True)),
            key=lambda file: file.place,
        )

    def append(self, rows: "pa.Table | pa.RecordBatchReader", position: int) -> None:
        """Append `rows` (with the partition column) and move to `position`, both or nothing. Raises Overtaken."""
        self._write(rows, position, mode="append")

    def replace(
        self,
        parts: Sequence[str] | None,
        rows: "pa.Table | pa.RecordBatchReader",
        position: int,
        *,
        new_columns: bool = False,
    ) -> None:
        """Put `rows` in the place of all rows of the partitions `parts` (None: of the table). Raises Overtaken.

        `new_columns` gives the table the columns of `rows`; then everything must be replaced.
        """
        options: dict[str, Any] = {"mode": "overwrite"}
        if parts is not None:
            # Partitions are months or parts: our own words, never a value.
            listed = ", ".join(f"'{part}'" for part in parts)
            options["predicate"] = f"{self.kind.partition} in ({listed})"
        if new_columns:
            options["schema_mode"] = "overwrite"
        self._write(rows, position, **options)

    def remove(self, keys: "pa.Table", position: int) -> int:
        """Delete every row that agrees with a row of `keys` in all its columns; returns how many. Raises Overtaken.

        By a join, so that no id comes into the log. The files stay until `vacuum`. Commits in any case: a writer that
        read before is refused even when there was nothing to delete.
        """
        before = self.version
        predicate = " and ".join(f"t.{name} = s.{name}" for name in keys.column_names)
        done: dict[str, Any] = {}

        def delete() -> None:
            done.update(
                self._table.merge(
                    keys,
                    predicate,
                    source_alias="s",
                    target_alias="t",
                    writer_properties=_properties(self.kind),
                    commit_properties=_commit(self.kind, position),
                )
                .when_matched_delete()
                .execute()
            )

        if keys.num_rows:
            _guarded(delete)
        if self.version == before:
            self.append(self._nothing(), position)
        return int(done.get("num_target_rows_deleted", 0))

    def go_back(self, position: int) -> None:
        """Say that the table has come no further than `position`. Raises Overtaken."""
        self.append(self._nothing(), position)

    def vacuum(self, *, at_once: bool) -> int:
        """Delete files that no state needs any more, also those of killed writers; returns how many.

        What was superseded in the last hour stays for queries that still read it, unless `at_once`.
        """
        hours = 0 if at_once else _KEPT_HOURS
        gone = self._table.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=True)
        if at_once:
            self._table.create_checkpoint()
            self._table.cleanup_metadata()
        return len(gone)

    def dataset(self, parts: Iterable[str] | None = None) -> Any:
        """The rows as a PyArrow dataset (with the partition column), of all or some partitions."""
        if parts is None:
            return self._table.to_pyarrow_dataset()
        return self._table.to_pyarrow_dataset(partitions=[(self.kind.partition, "in", list(parts))])

    def storage(self) -> "FileSystem":
        """Everything that is stored below the table, whether a state needs it or not; its root is the table's."""
        from deltalake.fs import DeltaStorageHandler
        from pyarrow.fs import LocalFileSystem, PyFileSystem, SubTreeFileSystem

        root = self._table.table_uri
        if _is_remote(root):
            return PyFileSystem(DeltaStorageHandler(root, _IMPATIENT))
        return SubTreeFileSystem(_local(root), LocalFileSystem())

    def _nothing(self) -> "pa.Table":
        import pyarrow as pa

        return pa.schema([*self.schema, (self.kind.partition, pa.string())]).empty_table()

    def _write(self, rows: Any, position: int, **options: Any) -> None:
        from deltalake import write_deltalake

        _guarded(
            lambda: write_deltalake(
                self._table,
                rows,
                writer_properties=_properties(self.kind),
                commit_properties=_commit(self.kind, position),
                **options,
            )
        )


def _guarded(write: Callable[[], object]) -> None:
    from deltalake.exceptions import CommitFailedError

    try:
        write()
    except CommitFailedError as error:
        raise Overtaken("Another writer of the lake committed first.") from error


def _commit(kind: Kind, position: int) -> Any:
    from deltalake import CommitProperties, Transaction

    return CommitProperties(app_transactions=[Transaction(kind.name, position)])


def _properties(kind: Kind) -> Any:
    from deltalake import ColumnProperties, WriterProperties

    columns = {name: ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE") for name in kind.random}
    columns |= {
        name: ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED")
        for name in _DELTAS
        if name not in kind.random
    }
    return WriterProperties(
        compression="ZSTD", compression_level=3, max_row_group_size=_MAX_ROW_GROUP, column_properties=columns
    )


def _below(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{name}"


def _is_remote(place: str) -> bool:
    return "://" in place and not place.startswith("file://")


def _place(root: str, path: str) -> str:
    """Where an engine finds a file of the table: a path on this machine, or an address in the object store."""
    from urllib.parse import unquote

    if "://" in path:
        return path
    return f"{_local(root).rstrip('/')}/{unquote(path)}"


def _local(root: str) -> str:
    """The path of an address on this machine; any other address as it is."""
    from urllib.parse import unquote, urlsplit

    return unquote(urlsplit(root).path) if root.startswith("file://") else root


def _plain(field: "pa.Field") -> "pa.Field":
    """A field as `cdp.lake.schema` writes it: Delta's own reader prefers view and large types."""
    import pyarrow as pa

    return pa.field(field.name, _plain_type(field.type))


def _plain_type(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if pa.types.is_map(kind):
        return pa.map_(_plain_type(kind.key_type), _plain_type(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind
