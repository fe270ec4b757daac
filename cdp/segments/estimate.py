"""How many people a rule would have, before it is saved: counted, not guessed (S3)."""

import dataclasses
import uuid
from typing import TYPE_CHECKING

import msgspec
from django.conf import settings

from cdp.access.rights import Rights
from cdp.core.errors import Invalid
from cdp.history.snapshot import snapshot
from cdp.lake.marks import Now
from cdp.lake.rules.compile import members_of
from cdp.lake.rules.facts import facts
from cdp.lake.rules.parse import parse
from cdp.lake.rules.words import in_words
from cdp.profiles.models import Profile
from cdp.segments.catalogue import catalogue
from cdp.segments.evaluate import bring_personal, failures
from cdp.segments.members import members_table
from cdp.segments.personal import personal_tables
from cdp.segments.rule_rights import require_sight
from cdp.traits.expressions import calculations, with_calculated

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cdp.lake.tables import Tables

MOST = 50
"""How many people a sample may show."""


class Estimate(msgspec.Struct, frozen=True):
    """`size` people of `people` in all; `words` is the rule in plain English; `sample` are some of them."""

    size: int
    people: int
    words: str
    sample: list[uuid.UUID]


def estimate(rule: object, *, now: int, sample: int = 0, rights: Rights) -> Estimate:
    """The exact size that a segment with `rule` would have at `now` (µs), over everything that was processed.

    `sample` people are named, those that came first. Raises Invalid, with the path in the rule, Forbidden for a
    field that the holder of `rights` does not see, and what the engine raises when it takes too long.
    """
    tree = parse(rule, catalogue())
    require_sight(tree, rights)
    known = facts(tree)
    personal = personal_tables(known.personal, now=now)
    with snapshot() as snap:
        members = snap.bring("members", members_table(known.segments))
        tables = bring_personal(snap, personal)
        zone = settings.TIME_ZONE

        def found(on: "Tables", at: Now) -> "ir.Table":
            on = with_calculated(dataclasses.replace(on, members=members), known.traits, now=at, zone=zone)
            return members_of(tree, on, now=at, zone=zone, personal=tables)

        def size(on: "Tables", at: Now) -> "ir.Table":
            people = found(on, at)
            return people.aggregate(size=people.count())

        key = (zone, tree, tuple(tables), calculations(known.traits))
        try:
            counted = snap.ask(("size", *key), size, now=now)
            some = (
                snap.ask(
                    ("sample", sample, *key), lambda on, at: found(on, at).order_by("person").limit(sample), now=now
                )
                if sample
                else None
            )
            shown = some.column("person").to_pylist() if some else []
            people = snap.run(snap.tables.people.aggregate(n=snap.tables.people.count())).column("n")[0].as_py()
        except failures() as error:
            raise Invalid(
                f"The rule cannot be computed: {error}", code="invalid_rule", details={"path": "$"}
            ) from error
    ids = Profile.objects.filter(pk__in=shown).order_by("pk").values_list("public_id", flat=True)
    return Estimate(counted.column("size")[0].as_py(), people, in_words(tree), list(ids))
