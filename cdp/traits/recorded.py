"""What REST changes of the catalogue is recorded, in the transaction of the change (the admin does so by itself)."""

from collections.abc import Iterable

from django.db.models import Model
from rest_framework.request import Request

from cdp.access.audit import record_change
from cdp.access.rights import rights_of


def record_definition(request: Request, action: str, row: Model, *, fields: Iterable[str] = ()) -> None:
    """Write one entry for a definition: call it within the transaction, before a row is deleted."""
    kind = str(row._meta.model_name)
    record_change(rights_of(request).actor, action=action, object_type=kind, object_ids=[row.pk], fields=fields)


def changed_fields(row: Model, before: dict[str, object]) -> list[str]:
    """The names of the columns that hold something else than in `before` (`vars` of the row as it was)."""
    names = [field.attname for field in row._meta.concrete_fields]
    return [name for name in names if getattr(row, name) != before.get(name)]
