"""Message ids for rows that have none: equal rows each count, and the same file gives the same ids again."""

import hashlib
import sqlite3
from typing import Any, Self

import msgspec

_encode = msgspec.json.Encoder(order="sorted").encode


class Numbering:
    """Gives each row the id of (source, kind, row, n): n is its how-manieth repetition in the file.

    Every row of the file must pass `of` in order, also those of an earlier, interrupted attempt. Counts are kept by
    8-byte digests in a scratch SQLite database that has no name and goes with the process: memory stays bounded. Two
    rows that share a digest only share a count, so their ids stay apart. The order of columns does not matter.
    """

    def __init__(self, source: str, kind: str) -> None:
        self._start = hashlib.sha256(_encode([source, kind]))
        self._scratch = sqlite3.connect("", isolation_level=None)
        self._scratch.executescript(
            "pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-32768; pragma temp_store=file;"
            "create table seen(digest integer primary key, count integer not null); begin"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.close()

    def of(self, values: dict[str, Any]) -> str:
        """The id of the row `values`: the same for the same row at the same repetition, whatever came between."""
        digest = self._start.copy()
        digest.update(_encode(values))
        key = int.from_bytes(digest.digest()[:8], "big", signed=True)
        (count,) = self._scratch.execute(
            "insert into seen values (?, 1) on conflict do update set count = count + 1 returning count", (key,)
        ).fetchone()
        digest.update(b"\0%d" % count)
        return "import-" + digest.hexdigest()[:40]
