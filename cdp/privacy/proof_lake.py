"""Scanning the lake: every column of every Parquet file that is there, and every entry of the log, decoded."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from django.conf import settings

from cdp.history.tables import open_table, store_id
from cdp.lake.delta import EVENTS, PEOPLE, LakeTable
from cdp.privacy.proof_scope import Scope
from cdp.privacy.proof_store import Scanned

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[str, int, int], None]
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
        for batch in _batches(table, kind.name):
            rows.found += look.batch(batch)
            done += batch.num_rows
            progress(f"lake {kind.name}", min(done, total), total)
        rows.looked = dict.fromkeys((*table.schema.names, kind.partition), "decoded")
        for text in _log(kind.name):
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


def _batches(table: LakeTable, name: str) -> "Iterator[pa.RecordBatch]":
    """The rows of every file in the folder, also of those that no state needs; of a bucket those of the state now."""
    import pyarrow.parquet as pq

    folder = _folder(name)
    if folder is None:
        yield from table.dataset().to_batches()
        return
    for path in sorted(folder.rglob("*.parquet")):
        if "_delta_log" in path.parts:
            continue
        try:
            yield from pq.ParquetFile(path).iter_batches(batch_size=65_536)
        except FileNotFoundError:  # compacted and swept away meanwhile: the new file has the same rows
            continue


def _log(name: str) -> Iterator[str]:
    """Every entry of the log as text, checkpoints decoded."""
    import pyarrow.parquet as pq

    folder = _folder(name)
    if folder is None:
        return
    for path in sorted((folder / "_delta_log").iterdir()):
        try:
            if path.suffix == ".parquet":
                yield from (str(row) for batch in pq.ParquetFile(path).iter_batches() for row in batch.to_pylist())
            elif path.is_file():
                yield path.read_text()
        except FileNotFoundError:
            continue


def _folder(name: str) -> Path | None:
    """The folder of a table on this machine; None in an object store."""
    url = settings.LAKE_URL
    if "://" in url and not url.startswith("file://"):
        return None
    root = unquote(urlsplit(url).path) if url.startswith("file://") else url
    return Path(root) / name
