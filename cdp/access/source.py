"""A source as the pipeline needs it: a small frozen value instead of a row."""

from collections.abc import Iterable
from typing import Any

import msgspec

from cdp.access.models import Source


class SourceRef(msgspec.Struct, frozen=True):
    """What decides about a message: whether its source is trusted, and how its values rank."""

    id: int
    name: str
    trusted: bool
    priority: int = 100
    allowed_origins: tuple[str, ...] = ()
    rate_limit: int = 0

    @classmethod
    def of(cls, source: Source) -> "SourceRef":
        """The reference of a row."""
        return cls(
            id=source.pk,
            name=source.name,
            trusted=source.trusted,
            priority=source.priority,
            allowed_origins=tuple(source.allowed_origins),
            rate_limit=source.rate_limit,
        )


SOURCES_SQL = "select 'source', id, name, priority, 0, 0, kind = 'server', false, false from access_source"
"""A SELECT in the shape of `cdp.identities.rules.RULES_SQL`."""


def sources_of(rows: Iterable[tuple[Any, ...]]) -> dict[int, SourceRef]:
    """The sources in rows of `SOURCES_SQL` by id, as processing needs them; rows of another part are passed over."""
    return {row[1]: SourceRef(row[1], row[2], bool(row[6]), row[3]) for row in rows if row[0] == "source"}


def source_named(name: str, *, priority: int = 100) -> SourceRef:
    """The server source called `name`, made if there is none: what imports write as."""
    source, _ = Source.objects.get_or_create(name=name, defaults={"kind": Source.Kind.SERVER, "priority": priority})
    return SourceRef.of(source)


API_SOURCE = "api"
"""The name of the source that REST calls and the admin write as."""


def api_source() -> SourceRef:
    """The source that the REST API and the admin write as. A person's own correction ranks before what streams in."""
    return source_named(API_SOURCE, priority=50)
