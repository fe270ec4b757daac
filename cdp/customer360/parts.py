"""What the 360 view and the profile document are both made of: read once, in a constant number of queries."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from django.db import connection

from cdp.access.reading import as_uuid, rows_in
from cdp.history.layout import wanted_columns
from cdp.identities.lookup import IdentifierView, identifiers_of_people
from cdp.lake.fields.tree import Value
from cdp.lake.person_rows import facts_of
from cdp.profiles.models import Profile
from cdp.scoring.activity import activity_of_people
from cdp.scoring.engagement import Activity, Engagement, engagement
from cdp.scoring.own import Counted, known_values, own_measures, own_score
from cdp.scoring.profile import ProfileScore
from cdp.scoring.value import LifetimeValue, lifetime_value, revenue_of
from cdp.traits.calculated import calculated_values, given_values
from cdp.traits.catalogue import personal_keys
from cdp.traits.computed_values import ComputedNow, computed_of_people
from cdp.traits.document import open_document
from cdp.traits.golden import GoldenRecord, edges_of, fold

_COLUMNS = [field.attname for field in Profile._meta.concrete_fields]
_FRAGMENTS = f"select {', '.join(_COLUMNS)} from profiles_profile where person_id in {{in}} order by id"


class Totals(msgspec.Struct, frozen=True):
    """The counters of a person: those of all their profiles together. Times are µs."""

    created_at: int
    updated_at: int
    first_seen: int
    last_seen: int
    events: int
    purchases: int
    first_purchase: int | None
    last_purchase: int | None
    revenue: dict[str, float]


class Parts(msgspec.Struct, frozen=True):
    """A person, read: `fragments` are their profiles, oldest first.

    `measures` are the built-in ones that need nobody else, `computed` and `calculated` the derived traits by key.
    """

    person: Profile
    fragments: tuple[Profile, ...]
    totals: Totals
    identifiers: tuple[IdentifierView, ...]
    record: GoldenRecord
    activity: Activity
    engagement: Engagement
    value: LifetimeValue
    score: ProfileScore
    measures: Mapping[str, Value]
    computed: Mapping[str, ComputedNow]
    calculated: Mapping[str, Value]
    now: int

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
    return parts_of_people([person], now=now)[0]


def parts_of_people(people: Sequence[Profile], *, now: int) -> list[Parts]:
    """`parts_of` for several people in the same number of queries."""
    ids = [person.pk for person in people]
    fragments: dict[int, list[Profile]] = {person_id: [] for person_id in ids}
    for row in rows_in(_FRAGMENTS, ids):
        fragment = Profile.from_db(None, _COLUMNS, (row[0], as_uuid(row[1]), *row[2:]))
        fragments[fragment.person_id].append(fragment)
    totals = {person_id: totals_of(rows) for person_id, rows in fragments.items()}
    activities = activity_of_people(
        {person_id: next(iter(total.revenue.values()), 0.0) for person_id, total in totals.items()}, now=now
    )
    identifiers = identifiers_of_people(ids)
    records = records_of(fragments, now=now)
    computed = computed_of_people(ids)
    return [
        _parts(
            person,
            fragments[person.pk],
            totals[person.pk],
            identifiers[person.pk],
            records[person.pk],
            activities[person.pk],
            computed.get(person.pk, {}),
            now=now,
        )
        for person in people
    ]


def _parts(
    person: Profile,
    fragments: Sequence[Profile],
    total: Totals,
    identifiers: Sequence[IdentifierView],
    record: GoldenRecord,
    activity: Activity,
    computed: Mapping[str, ComputedNow],
    *,
    now: int,
) -> Parts:
    value = lifetime_value(total.revenue, total.purchases, first_seen=total.first_seen, now=now)
    overall = engagement(activity, now=now)
    known = facts_of(
        {key: golden.value for key, golden in record.values.items()}, wanted_columns(), personal_keys().__contains__
    )
    counted = Counted(
        first_seen=total.first_seen,
        last_seen=total.last_seen,
        events=total.events,
        purchases=total.purchases,
        first_purchase=total.first_purchase,
        last_purchase=total.last_purchase,
        spent=value.current,
        currencies=len(total.revenue),
        engagement=overall.overall,
        known=known_values(known),
    )
    measures = own_measures(counted, now=now)
    given = given_values(known, measures, {key: found.value for key, found in computed.items()})
    return Parts(
        person=person,
        fragments=tuple(fragments),
        totals=total,
        identifiers=tuple(identifiers),
        record=record,
        activity=activity,
        engagement=overall,
        value=value,
        score=own_score(counted, now=now),
        measures=measures,
        computed=computed,
        calculated=calculated_values(given, now=now),
        now=now,
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
        first_purchase=min((f.first_purchase for f in fragments if f.first_purchase is not None), default=None),
        last_purchase=max((f.last_purchase for f in fragments if f.last_purchase is not None), default=None),
        revenue=revenue_of(fragment.revenue for fragment in fragments),
    )


def records_of(people: Mapping[int, Sequence[Profile]], *, now: int) -> dict[int, GoldenRecord]:
    """The golden records of people, each given with its profiles, at `now`: one query, a second after a merge."""
    ids = [fragment.pk for fragments in people.values() for fragment in fragments]
    bodies = dict(rows_in("select profile_id, body from traits_traitdocument where profile_id in {in}", ids))
    merged = [f.pk for fragments in people.values() if len(fragments) > 1 for f in fragments]
    edges = edges_of(merged) if merged else []
    records = {}
    for person_id, fragments in people.items():
        own = {fragment.pk for fragment in fragments}
        documents = {profile_id: open_document(bodies.get(profile_id)) for profile_id in sorted(own)}
        records[person_id] = fold(documents, [edge for edge in edges if edge.source_id in own], now=now)
    return records


def source_names() -> dict[int, str]:
    """The names of all sources by id."""
    with connection.cursor() as cursor:
        cursor.execute("select id, name from access_source")
        return dict(cursor.fetchall())
