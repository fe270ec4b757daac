"""The texts of queries that were built before: building one takes longer than running it over a million events."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdp.lake.marks import Template

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Plan:
    """A query's text, and the columns that it answers with."""

    text: Template
    schema: "pa.Schema"

    @property
    def size(self) -> int:
        """Characters."""
        return sum(map(len, self.text.pieces))


class Plans:
    """Those used last, at most `most` of them with `characters` in all. For any number of threads."""

    def __init__(self, *, most: int = 256, characters: int = 8_000_000) -> None:
        self._most = most
        self._characters = characters
        self._size = 0
        self._plans: OrderedDict[Hashable, Plan] = OrderedDict()
        self._lock = threading.Lock()

    def plan(self, key: Hashable, make: Callable[[], Plan]) -> Plan:
        """The plan of `key`, made if it is not there. Two threads that miss it both make it: none waits for another."""
        with self._lock:
            found = self._plans.get(key)
            if found is not None:
                self._plans.move_to_end(key)
                return found
        made = make()
        with self._lock:
            known = self._plans.pop(key, None)
            self._size += made.size - (known.size if known else 0)
            self._plans[key] = made
            while self._plans and (len(self._plans) > self._most or self._size > self._characters):
                _, gone = self._plans.popitem(last=False)
                self._size -= gone.size
        return made

    def __len__(self) -> int:
        return len(self._plans)
