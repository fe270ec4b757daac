"""A few people with the value that a computed trait would have for them."""

from typing import Any

import msgspec
from django.db.models import F

from cdp.core.clock import iso
from cdp.lake.rules.tree import Aggregate
from cdp.profiles.models import Profile
from cdp.scoring.refresh import preview_computed

PEOPLE = 20


class SampleValue(msgspec.Struct, frozen=True, rename="camel"):
    """The value for one person; null is missing."""

    profile_id: str
    value: Any


def sample(aggregate: Aggregate, *, now: int) -> list[SampleValue]:
    """The values at `now` (µs) for the people who were created last."""
    rows = dict(Profile.objects.filter(person_id=F("id")).order_by("-id").values_list("id", "public_id")[:PEOPLE])
    values = preview_computed(aggregate, list(rows), now=now)
    as_time = aggregate.kind == "time"
    return [
        SampleValue(str(public), iso(values[id_]) if as_time and id_ in values else values.get(id_))
        for id_, public in rows.items()
    ]
