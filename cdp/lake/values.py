"""Property and trait documents as columns: typed, flattened, and without what is personal. About 1 µs a value."""

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from cdp.core.clock import parse_time
from cdp.lake.looks import kept_text, numbered_key, personal_key, personal_number
from cdp.lake.schema import MAPS, Typed, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DEPTH = 4
MAX_KEY = 200
_REMEMBERED = 20_000
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d\S*)?$")
_scalar_text = msgspec.json.Encoder().encode

_NAMES, _NOTHING = 1, 2
_Way = tuple[int, bool, str, str]
"""Of a key: what may not enter (0: it depends on the value; `_NAMES`: all but truth values; `_NOTHING`: all), whether
long numbers are usual, its typed column and that column's kind."""


class MapColumn:
    """A column `map<text, …>` that is filled row by row."""

    __slots__ = ("items", "keys", "offsets")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.items: list[Any] = []
        self.offsets = [0]

    def add(self, entries: Mapping[str, Any]) -> None:
        """One row."""
        self.keys += entries.keys()
        self.items += entries.values()
        self.offsets.append(len(self.keys))

    def array(self, kind: str) -> "pa.Array":
        """The rows as Arrow."""
        import pyarrow as pa

        items = pa.array(self.items, arrow_type(kind))
        return pa.MapArray.from_arrays(pa.array(self.offsets, pa.int32()), pa.array(self.keys, pa.string()), items)


class Documents:
    """Collects documents (key → JSON value), one per row.

    A number, text, truth value or list of them goes to the typed column of its key when it is of that kind, else to the
    map of its kind; a text that is an ISO date or time is in `time` too. Objects flatten to dotted keys down to four
    levels; null, lists of objects, NaN and infinity are left out. Types never convert. `personal` says what the
    catalogue knows to be personal; names and values that look personal are left out whatever it says. With
    `also_mapped` a typed value stands in the map of its kind too, so that typed columns can come and go.
    """

    def __init__(
        self, typed: Mapping[str, Typed], personal: Callable[[str], bool], *, also_mapped: bool = False
    ) -> None:
        self.typed = typed
        self._also_mapped = also_mapped
        self._personal = personal
        self._columns: dict[str, list[Any]] = {entry.column: [] for entry in typed.values()}
        self._kinds = {entry.column: entry.kind for entry in typed.values()}
        self._maps = {kind: MapColumn() for kind in MAPS}
        self._num, self._text, self._flag = self._maps["number"], self._maps["text"], self._maps["flag"]
        self._ways: dict[str, _Way] = {}
        self._kept: tuple[dict[str, str | None], dict[str, str | None]] = {}, {}

    def add(self, document: Mapping[str, Any], also: Mapping[str, Any] | None = None) -> None:
        """One row: `document`, and `also` where it has no such key."""
        for column in self._columns.values():
            column.append(None)
        nested = self._fill(document)
        if also:
            self._fill({key: value for key, value in also.items() if key not in document})
        if nested:
            self._unfold(nested, set(document) | set(also or ()))
        for map_ in self._maps.values():
            map_.offsets.append(len(map_.keys))

    def overwrite(self, column: str, value: Any) -> None:
        """Overwrite the typed column of the row that was added last."""
        self._columns[column][-1] = value

    def value(self, column: str) -> Any:
        """The typed column of the row that was added last."""
        return self._columns[column][-1]

    def takes(self, key: str) -> bool:
        """Whether values of this name may enter at all."""
        return self._way(key)[0] == 0

    def row(self) -> dict[str, dict[str, Any]]:
        """The row that was added last: kind → key → value."""
        found: dict[str, dict[str, Any]] = {}
        for kind, map_ in self._maps.items():
            start, end = map_.offsets[-2:]
            found[kind] = dict(zip(map_.keys[start:end], map_.items[start:end], strict=True))
        for key, entry in self.typed.items():
            value = self._columns[entry.column][-1]
            if value is not None:
                found[entry.kind].setdefault(key, value)
        return found

    def arrays(self) -> "dict[str, pa.Array]":
        """Every column by name: the typed ones, then the maps."""
        import pyarrow as pa

        typed = {column: pa.array(values, arrow_type(self._kinds[column])) for column, values in self._columns.items()}
        return typed | {MAPS[kind]: map_.array(kind) for kind, map_ in self._maps.items()}

    def _fill(self, document: Mapping[str, Any]) -> list[tuple[str, dict[str, Any], int]]:
        """Put the values of one level into the row; the objects among them are returned."""
        nested = []
        for key, value in document.items():
            kind = type(value)
            if kind is str:
                self._put_text(key, value)
            elif kind is bool:
                self._put_flag(key, value)
            elif kind is float or kind is int:
                self._put_number(key, value)
            elif kind is list:
                self._put_list(key, value)
            elif kind is dict:
                nested.append((key, value, 2))
        return nested

    def _unfold(self, nested: list[tuple[str, dict[str, Any], int]], seen: set[str]) -> None:
        """The objects of a row, level by level. A dotted name that the row has already stays what it was."""
        while nested:
            outer, value, depth = nested.pop()
            if depth > MAX_DEPTH or self._closed(outer):
                continue
            level = {f"{outer}.{key}": part for key, part in value.items()}
            level = {key: part for key, part in level.items() if key not in seen}
            seen.update(level)
            nested += [(key, part, depth + 1) for key, part, _ in self._fill(level)]

    def _closed(self, key: str) -> bool:
        """Whether nothing below `key` may enter; an address has parts that may (its city, its country)."""
        return self._way(key)[0] > 0 and not key.lower().endswith("address")

    def _way(self, key: str) -> _Way:
        way = self._ways.get(key)
        if way is None:
            if len(self._ways) >= _REMEMBERED:
                self._ways.clear()
            typed = self.typed.get(key)
            refused = _NAMES if self._personal(key) or personal_key(key) else 0
            if not 0 < len(key) <= MAX_KEY or kept_text(key) is None:
                refused = _NOTHING
            way = refused, numbered_key(key), typed.column if typed else "", typed.kind if typed else ""
            self._ways[key] = way
        return way

    def _judge(self, value: str, numbered: bool) -> str | None:
        """`kept_text`, remembered: most texts of a table are few that come again and again."""
        known = self._kept[numbered]
        if len(known) >= _REMEMBERED:
            known.clear()
        kept = known[value] = kept_text(value, numbered=numbered)
        return kept

    def _put(self, key: str, value: Any) -> bool:
        """Put `value` into the typed column of `key`, if that is free; whether that is all there is to do."""
        column = self._columns[self._ways[key][2]]
        if column[-1] is not None:
            return False
        column[-1] = value
        return not self._also_mapped

    def _put_flag(self, key: str, value: bool) -> None:
        refused, _, _, typed = self._way(key)
        if refused == _NOTHING or (typed == "flag" and self._put(key, value)):
            return
        self._flag.keys.append(key)
        self._flag.items.append(value)

    def _put_text(self, key: str, value: str) -> None:
        refused, numbered, _, typed = self._way(key)
        if refused:
            return
        moment = parse_time(value) if value[4:5] == "-" and _TIME.match(value) else None
        if moment is not None:
            if typed == "time" and self._put(key, moment):
                return
            times = self._maps["time"]
            times.keys.append(key)
            times.items.append(moment)
        else:
            known = self._kept[numbered]
            kept = known[value] if value in known else self._judge(value, numbered)
            if kept is None:
                return
            value = kept
        if typed != "text" or not self._put(key, value):
            self._text.keys.append(key)
            self._text.items.append(value)

    def _put_number(self, key: str, value: float) -> None:
        refused, _, _, typed = self._way(key)
        if refused or not -1e300 < value < 1e300 or personal_number(value):
            return
        number = float(value)
        if typed != "number" or not self._put(key, number):
            self._num.keys.append(key)
            self._num.items.append(number)

    def _put_list(self, key: str, values: list[Any]) -> None:
        refused, numbered, _, typed = self._way(key)
        if refused:
            return
        texts: list[str] = []
        for value in values:
            if value is None:
                continue
            text = kept_text(value, numbered=numbered) if isinstance(value, str) else _as_text(value)
            if text is None:
                return
            texts.append(text)
        if typed != "list" or not self._put(key, texts):
            lists = self._maps["list"]
            lists.keys.append(key)
            lists.items.append(texts)


def _as_text(value: object) -> str | None:
    """A number or truth value of a list as JSON writes it; None for what a list may not hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and math.isfinite(value) and not personal_number(value):
        return _scalar_text(value).decode()
    return None
