"""Events as rows of the lake: the plain columns as they are, properties and a few facts of the context as values."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from cdp.lake.looks import kept_text
from cdp.lake.schema import TYPED_PROPERTIES, events_schema
from cdp.lake.values import Documents

if TYPE_CHECKING:
    import pyarrow as pa

_IDENTIFY, _GROUP, _ALIAS = 2, 5, 6
_CONTEXT: Final = {"page": ("referrer",), "device": ("type",), "os": ("name",), "app": ("name", "version")}
_UNITS = 10_000


class EventRows:
    """Collects events and gives them as one Arrow table of `events_schema`.

    Of an identify and an alias only that it happened: what they say is in `people` or is an identifier. Of the context:
    campaign, referrer, kinds of device and system, language, under `context.…`.
    """

    def __init__(self, personal: Callable[[str], bool]) -> None:
        self._documents = Documents(TYPED_PROPERTIES, personal)
        self._plain: list[tuple[Any, ...]] = []
        self._amounts: list[int | None] = []

    def __len__(self) -> int:
        return len(self._plain)

    def add(
        self,
        plain: tuple[int, bytes, int, int | None, int, str, str, int, int],
        properties: Mapping[str, Any],
        context: Mapping[str, Any],
        *,
        imported: bool,
        money: tuple[int, str] | None,
    ) -> None:
        """One event. `plain` is id, digest, profile, source, call, type, name, ts, received; `money` what was paid (in
        1/10,000 units, with its currency) when it is a purchase.
        """
        self._plain.append((*plain, imported))
        said = properties if plain[4] not in (_IDENTIFY, _ALIAS) else {}
        documents = self._documents
        documents.add(said, _facts(context) if context else None)
        if money is None:
            revenue = documents.value("p_revenue")
            self._amounts.append(None if revenue is None or abs(revenue) > 1e13 else round(revenue * _UNITS))
        else:
            self._amounts.append(money[0])
            documents.overwrite("p_currency", money[1])
        if plain[4] in (_GROUP, _IDENTIFY):
            return
        if documents.value("p_path") is None:
            documents.overwrite("p_path", _path(said, context))

    def table(self) -> "pa.Table":
        """Everything that was added, in that order."""
        import pyarrow as pa

        schema = events_schema()
        names = ("id", "digest", "profile", "source", "call", "type", "event", "ts", "received", "imported")
        plain = list(zip(*self._plain, strict=True)) or [()] * len(names)
        arrays: dict[str, pa.Array] = {
            name: pa.array(values, schema.field(name).type) for name, values in zip(names, plain, strict=True)
        }
        arrays["event"] = pa.array([_event_name(name) for name in plain[6]], pa.string())
        arrays["p_amount"] = decimals(self._amounts)
        arrays |= self._documents.arrays()
        return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def decimals(units: "list[int | None]") -> "pa.Array":
    """Decimal(18, 4) from whole numbers of 1/10,000, without a Decimal object for each."""
    import numpy as np
    import pyarrow as pa

    low = np.array([0 if unit is None else unit for unit in units], dtype=np.int64)
    halves = np.empty((len(units), 2), dtype=np.int64)
    halves[:, 0], halves[:, 1] = low, low >> 63
    known = pa.array([unit is not None for unit in units], pa.bool_())
    return pa.Array.from_buffers(
        pa.decimal128(18, 4), len(units), [known.buffers()[1], pa.py_buffer(halves)], null_count=known.false_count
    )


def months(ts: "pa.Array") -> "pa.Array":
    """The partition of each time: "2026-11". What lies before 1970 or after 2200 shares the partition at that end."""
    import numpy as np
    import pyarrow as pa

    moments = np.asarray(ts, dtype=np.int64).astype("M8[us]").astype("M8[M]")
    low, high = np.datetime64("1969-12"), np.datetime64("2200-01")
    return pa.array(np.clip(moments, low, high).astype(str), pa.string())


def _event_name(name: str) -> str:
    return name if kept_text(name) is not None else "(withheld: looks personal)"


def _facts(context: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    campaign = context.get("campaign")
    if isinstance(campaign, dict):
        facts = {f"context.campaign.{key}": value for key, value in campaign.items() if isinstance(value, str)}
    for part, keys in _CONTEXT.items():
        found = context.get(part)
        if isinstance(found, dict):
            for key in keys:
                if found.get(key):
                    facts[f"context.{part}.{key}"] = found[key]
    if context.get("locale"):
        facts["context.locale"] = context["locale"]
    return facts


def _path(properties: Mapping[str, Any], context: Mapping[str, Any]) -> str | None:
    """The path of the page: of the property `url`, else of the context's page."""
    page = context.get("page")
    for place in (properties, page if isinstance(page, dict) else {}):
        path, url = place.get("path"), place.get("url")
        if isinstance(path, str):
            return kept_text(path)
        if isinstance(url, str) and "://" in url:
            return kept_text("/" + url.partition("://")[2].partition("/")[2].partition("?")[0].partition("#")[0])
    return None
