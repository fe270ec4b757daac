"""Writing what a provider said to the profile of a customer who is known here."""

import logging
from typing import Any

from cdp.access.source import source_named
from cdp.core.errors import DomainError
from cdp.pipeline.write_traits import TraitWrite, set_traits
from cdp.profiles.models import Profile
from cdp.traits.golden import golden
from integrations.connection import Connection
from integrations.store import person_of_customer

_log = logging.getLogger(__name__)


def write_columns(customer_id: str, columns: dict[str, Any], *, connection: Connection, at: int) -> int:
    """Set the columns as traits of the provider's source; returns how many.

    Nobody is created: a look-up does not prove that somebody is there. What the golden record has already is not
    written again. Holds the processing fence while it writes.
    """
    person_id = person_of_customer(customer_id)
    if person_id is None:
        return 0
    source = source_named(connection.provider.code)
    id_column = getattr(connection.mapping.fields.get("customer_id"), "column", "")
    known = golden(person_id).values
    traits = [
        TraitWrite(key=column, value=value, label=connection.provider.code, computed_at=at)
        for column, value in columns.items()
        if column != id_column and (column not in known or known[column].value != value)
    ]
    if not traits:
        return 0
    public_id = Profile.objects.values_list("public_id", flat=True).get(pk=person_id)
    try:
        set_traits(public_id, traits, source=source)
    except DomainError as error:
        _log.warning("The traits of a look-up were not written: %s", error.code)
        return 0
    return len(traits)
