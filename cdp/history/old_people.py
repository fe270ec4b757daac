"""Versions of people that the lake keeps: how they were known before."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cdp.history.engine import local_engine
from cdp.history.tables import store_id, table_to_read
from cdp.lake.delta import PEOPLE
from cdp.lake.engine import FilesGone
from cdp.lake.moment import Files

_SECONDS = 600
_MAPS = ("num", "text", "flag", "list")
"""Where values stand by their key, each once: `time` has again what texts say."""


class Version(msgspec.Struct, frozen=True):
    """A person (by number) as known at `at` (µs): golden values, when some of them end, until when each consent stands

    (`cdp.lake.schema` has words for no end and for withdrawn), and the numbers of the profiles that made the person.
    """

    person: int
    at: int
    fragments: list[int]
    values: dict[str, Any]
    expires: dict[str, int]
    consents: dict[str, int]


def versions_of(people: Sequence[int]) -> Iterator[Version]:
    """Every version of these people that the lake has, oldest first, as a stream; without what was personal.

    Raises ForeignLake, LakeLost, QueryTooLong, and what reading raises when files are damaged or out of reach.
    """
    yield from map(_version, _rows(people))


def _rows(people: Sequence[int]) -> Iterator[dict[str, Any]]:
    began = False
    try:
        for row in _read(people):
            began = True
            yield row
    except FilesGone:  # compacted and swept away meanwhile: the new files have the same rows
        if began:
            raise
        yield from _read(people)


def _read(people: Sequence[int]) -> Iterator[dict[str, Any]]:
    table = table_to_read(PEOPLE, store=store_id())
    files = Files.of(table, table.schema) if table is not None else None
    if files is None or not files.places:
        return
    session = local_engine().session()
    try:
        rows = session.files("people", files)
        mine = rows.filter(rows.person.isin(list(people)), ~rows.gone)
        columns = ("person", "version", "at", "fragments", *_MAPS, "expires", "consents")
        asked = mine.select(*columns).order_by(["version", "person"])
        for batch in session.run(asked, seconds=_SECONDS):
            yield from batch.to_pylist()
    finally:
        session.close()


def _version(row: dict[str, Any]) -> Version:
    said = {key: value for name in _MAPS for key, value in row[name]}
    return Version(
        person=row["person"],
        at=row["at"],
        fragments=row["fragments"],
        values={key: _whole(value) for key, value in sorted(said.items())},
        expires=dict(row["expires"]),
        consents=dict(row["consents"]),
    )


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
