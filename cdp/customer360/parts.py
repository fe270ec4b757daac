"""What the 360 view and the profile document are both made of: read once, in a constant number of queries."""

from collections.abc import Sequence
from typing import Any

import msgspec

from cdp.access.models import Source
from cdp.identities.lookup import IdentifierView, identifiers_of
from cdp.profiles.models import Profile
from cdp.scoring.activity import activity_of
from cdp.scoring.engagement import Activity, Engagement, engagement
from cdp.scoring.value import LifetimeValue, lifetime_value, revenue_of
from cdp.traits.document import open_document
from cdp.traits.golden import GoldenRecord, edges_of, fold
from cdp.traits.models import TraitDocument


class Totals(msgspec.Struct, frozen=True):
    """The counters of a person: those of all their profiles together. Times are µs."""

    created_at: int
    updated_at: int
    first_seen: int
    last_seen: int
    events: int
    purchases: int
    last_purchase: int | None
    revenue: dict[str, float]


class Parts(msgspec.Struct, frozen=True):
    """A person, read: `fragments` are their profiles, oldest first."""

    person: Profile
    fragments: tuple[Profile, ...]
    totals: Totals
    identifiers: tuple[IdentifierView, ...]
    record: GoldenRecord
    activity: Activity
    engagement: Engagement
    value: LifetimeValue

    @property
    def fragment_ids(self) -> list[int]:
        """The internal ids of the profiles."""
        return [fragment.pk for fragment in self.fragments]

    def trait(self, *keys: str) -> Any:
        """The golden value of the first of `keys` that has one, or None."""
        return next((self.record.values[key].value for key in keys if key in self.record.values), None)

    def identifier(self, code: str, namespace: str = "") -> IdentifierView | None:
        """The person's identifier of this type: the primary one, else the one that is verified, else the first."""
        found = [i for i in self.identifiers if i.type == code and i.namespace == namespace]
        return min(found, key=lambda i: (not i.primary, i.verified_at is None, i.first_seen, i.id), default=None)


def parts_of(person: Profile, *, now: int) -> Parts:
    """Everything that is counted and folded for one person at `now` (µs): four queries, a fifth after a merge."""
    fragments = tuple(Profile.objects.filter(person_id=person.pk).order_by("id"))
    totals = totals_of(fragments)
    main_revenue = next(iter(totals.revenue.values()), 0.0)
    activity = activity_of([fragment.pk for fragment in fragments], revenue=main_revenue, now=now)
    return Parts(
        person=person,
        fragments=fragments,
        totals=totals,
        identifiers=tuple(identifiers_of(person.pk)),
        record=record_of(fragments, now=now),
        activity=activity,
        engagement=engagement(activity, now=now),
        value=lifetime_value(totals.revenue, totals.purchases, first_seen=totals.first_seen, now=now),
    )


def totals_of(fragments: Sequence[Profile]) -> Totals:
    """The counters of `fragments` added up."""
    return Totals(
        created_at=min(fragment.created_at for fragment in fragments),
        updated_at=max(fragment.updated_at for fragment in fragments),
        first_seen=min(fragment.first_seen for fragment in fragments),
        last_seen=max(fragment.last_seen for fragment in fragments),
        events=sum(fragment.event_count for fragment in fragments),
        purchases=sum(fragment.purchase_count for fragment in fragments),
        last_purchase=max((f.last_purchase for f in fragments if f.last_purchase is not None), default=None),
        revenue=revenue_of(fragment.revenue for fragment in fragments),
    )


def record_of(fragments: Sequence[Profile], *, now: int) -> GoldenRecord:
    """The golden record of the person with the profiles `fragments` at `now`: one query, a second after a merge."""
    ids = [fragment.pk for fragment in fragments]
    bodies = dict(TraitDocument.objects.filter(profile_id__in=ids).values_list("profile_id", "body"))
    documents = {profile_id: open_document(bodies.get(profile_id)) for profile_id in ids}
    return fold(documents, edges_of(ids) if len(ids) > 1 else [], now=now)


def source_names() -> dict[int, str]:
    """The names of all sources by id."""
    return dict(Source.objects.values_list("id", "name"))
