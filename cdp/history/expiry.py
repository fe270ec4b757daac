"""Whose traits have run out since the lake was told."""

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from cdp.history.models import LakeState
from cdp.history.tables import open_table, store_id
from cdp.lake.delta import PEOPLE
from cdp.lake.schema import CURRENT, NEW

if TYPE_CHECKING:
    import pyarrow as pa


def expired_versions(now: int) -> tuple[list[tuple[int, int]], int | None]:
    """(person, version) of the versions in the lake of which a trait has run out at `now`, superseded ones too; and

    when the next one will. One query when none can have. Call `note_followed` when they are taken care of.
    """
    if not _due(now).exists():
        return [], None
    import pyarrow.compute as pc

    table = open_table(PEOPLE, store=store_id())
    if table is None:
        return [], None
    ends: Any = pc.field("next_expiry")
    columns = ["person", "version", "next_expiry"]
    rows: pa.Table = table.dataset([CURRENT, NEW]).to_table(columns=columns, filter=ends.is_valid())
    over = rows.filter(ends <= now)
    following: int | None = pc.min(rows.filter(ends > now)["next_expiry"]).as_py()
    return list(zip(over["person"].to_pylist(), over["version"].to_pylist(), strict=True)), following


def note_followed(now: int, following: int | None) -> None:
    """Nothing runs out before `following`, but for what was exported meanwhile."""
    _due(now).update(next_expiry=following)


def _due(now: int) -> "QuerySet[LakeState]":
    return LakeState.objects.filter(pk=PEOPLE.name, next_expiry__lte=now)
