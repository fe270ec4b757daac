"""Scanning the lake: every column of every Parquet file that is there, and every entry of the log, decoded."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cdp.history.tables import open_table, store_id
from cdp.lake.delta import EVENTS, PEOPLE
from cdp.privacy.proof_scope import Scope
from cdp.privacy.proof_store import Scanned

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import NativeFile
    from pyarrow.fs import FileSystem

Progress = Callable[[str, int, int], None]
_LOG = "_delta_log"
_NUMBERS = ("profile", "person", "fragments")


def scan_lake(scope: Scope, progress: Progress) -> dict[str, Scanned]:
    """Both tables, and the log of each. Raises what reading them raises."""
    result: dict[str, Scanned] = {}
    for kind in (EVENTS, PEOPLE):
        table = open_table(kind, store=store_id())
        rows, log = Scanned(), Scanned()
        result[f"lake {kind.name}"], result[f"lake {kind.name} (log)"] = rows, log
        if table is None:
            continue
        look = _Look(scope)
        total = sum(file.rows for file in table.files())
        done = 0
        storage = table.storage()
        for batch in _batches(storage):
            rows.found += look.batch(batch)
            done += batch.num_rows
            progress(f"lake {kind.name}", min(done, total), total)
        rows.looked = dict.fromkeys((*table.schema.names, kind.partition), "decoded")
        for text in _log(storage):
            log.found += scope.in_text(text)
        log.looked = {"entries and checkpoints": "decoded and searched"}
    return result


class _Look:
    """Compares whole columns at a time."""

    def __init__(self, scope: Scope) -> None:
        import pyarrow as pa

        self._numbers = pa.array(sorted(scope.numbers), pa.int64())
        self._scope = scope
        values = [*(scope.values or ()), *map(str, scope.public_ids)]
        self._texts = pa.array(sorted(set(values)), pa.string())

    def batch(self, batch: "pa.RecordBatch") -> int:
        """How many values are theirs."""
        return sum(self._column(name, batch[name]) for name in batch.schema.names)

    def _column(self, name: str, column: Any) -> int:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = column.type
        if pa.types.is_map(kind):
            return self._column(name, column.keys) + self._column(name, column.items)
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return self._column(name, column.flatten())
        if name in _NUMBERS and pa.types.is_integer(kind):
            return int(pc.sum(pc.is_in(column, self._numbers)).as_py() or 0)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            plain = column.cast(pa.string())
            return int(pc.sum(pc.is_in(pc.utf8_lower(plain), self._texts)).as_py() or 0)
        return 0


def _batches(storage: "FileSystem") -> "Iterator[pa.RecordBatch]":
    """The rows of every Parquet file of a table, also of those that no state needs."""
    import pyarrow.parquet as pq

    for source in _files(storage, "", lambda path: path.endswith(".parquet") and not path.startswith(_LOG)):
        yield from pq.ParquetFile(source).iter_batches(batch_size=65_536)


def _log(storage: "FileSystem") -> Iterator[str]:
    """Every entry of the log of a table as text, checkpoints decoded."""
    import pyarrow.parquet as pq

    for source in _files(storage, _LOG, lambda path: path.endswith(".parquet")):
        yield from (str(row) for batch in pq.ParquetFile(source).iter_batches() for row in batch.to_pylist())
    for source in _files(storage, _LOG, lambda path: not path.endswith(".parquet")):
        yield source.read().decode("utf-8", "replace")


def _files(storage: "FileSystem", folder: str, wanted: Callable[[str], bool]) -> "Iterator[NativeFile]":
    """The files below `folder` whose path is `wanted`, opened one by one.

    When one was swept away meanwhile, what took its place is looked for: the list is made until nothing is missing.
    """
    from pyarrow.fs import FileSelector, FileType

    seen: set[str] = set()
    missed = True
    while missed:
        missed = False
        listed = storage.get_file_info(FileSelector(folder, recursive=True))
        paths = {info.path for info in listed if info.type == FileType.File and wanted(info.path)}
        for path in sorted(paths - seen):
            seen.add(path)
            try:
                with storage.open_input_file(path) as source:
                    yield source
            except FileNotFoundError:
                missed = True
