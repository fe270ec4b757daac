"""What is only read: the 360° view, timeline, events of a person, identities, traits, consents, sessions, merges."""

from typing import Any, ClassVar

import msgspec
from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.core.clock import iso, iso_or_none, now_us
from cdp.customer360.event_view import EventView, event_id
from cdp.customer360.masking import sight_of
from cdp.customer360.parts import parts_of
from cdp.customer360.score_view import EngagementPart, LifetimePart, ProfileScorePart
from cdp.customer360.timeline import EventFilter, events_after, events_page, timeline
from cdp.customer360.view import Customer360, customer360
from cdp.events.vocabulary import TYPES
from cdp.profiles.models import Merge
from cdp.profiles.people import person_of
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import CursorPage, EitherPage, Page, limit_of, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

EVENT_FILTERS = (
    parameter("eventType", "001's or 003's spelling, such as PAGE_VIEW; also as `type`.", enum=TYPES),
    parameter("eventName", "The name, exactly."),
    parameter("source", "The name of a source."),
    parameter("startDate", "ISO 8601; events at or after it."),
    parameter("endDate", "ISO 8601; events at or before it. A date alone includes that day."),
)
CURSOR = parameter("cursor", "Where to go on: `next` of the page before; empty for the first page.")


class MergeView(msgspec.Struct, frozen=True, rename="camel"):
    """A merge of two profiles (their own ids, not the person's), undone or not."""

    id: str
    target_id: str
    source_id: str
    cause: str
    strategy: str
    active: bool
    created_at: str
    undone_at: str | None
    event_id: str | None
    actor: str | None

    @classmethod
    def of(cls, merge: Merge) -> "MergeView":
        """The view of a row whose profiles are loaded."""
        return cls(
            id=str(merge.public_id),
            target_id=str(merge.target.public_id),
            source_id=str(merge.source.public_id),
            cause=merge.cause,
            strategy=merge.strategy,
            active=merge.active,
            created_at=iso(merge.created_at),
            undone_at=iso_or_none(merge.undone_at),
            event_id=event_id(merge.event) if merge.event else None,
            actor=merge.actor or None,
        )


class Customer360Endpoint(Endpoint):
    """`customer360/:customerId`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("Everything about a customer", Customer360, tag="customer360")
    def get(self, request: Request, customer_id: str) -> Response:
        """Identities, traits with provenance, consents, scores, value, recent events and milestones in one call."""
        rights = rights_of(request)
        person = person_of(customer_id)
        view = customer360(person, now=now_us(), clear=sight_of(rights))
        record_read(
            rights,
            object_type="profile",
            object_ids=[person.public_id],
            fields=Customer360.__struct_fields__,
            request=request,
        )
        return Response(view)


class ComputeEngagement(Endpoint):
    """`customer360/:customerId/compute-engagement`."""

    needs: ClassVar[dict[str, str]] = {"POST": "read"}

    @endpoint("The engagement score now", EngagementPart, tag="customer360")
    def post(self, _request: Request, customer_id: str) -> Response:
        """Scores follow the events by themselves: this is the score of the 360° view, computed now."""
        now = now_us()
        return Response(EngagementPart.of(parts_of(person_of(customer_id), now=now).engagement, now=now))


class ComputeLifetimeValue(Endpoint):
    """`customer360/:customerId/compute-ltv`."""

    needs: ClassVar[dict[str, str]] = {"POST": "read"}

    @endpoint("The lifetime value now", LifetimePart, tag="customer360")
    def post(self, _request: Request, customer_id: str) -> Response:
        """The value so far of the 360° view, computed now; predictions need a model and are null without one."""
        now = now_us()
        return Response(LifetimePart.of(parts_of(person_of(customer_id), now=now).value, now=now))


class ProfileScore(Endpoint):
    """`profiles/:id/score` (002)."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("The score of a profile", ProfileScorePart, tag="profiles")
    def get(self, _request: Request, profile_id: str) -> Response:
        """0 to 100, with its parts and the lifecycle stage, computed now."""
        return Response(ProfileScorePart.of(parts_of(person_of(profile_id), now=now_us())))


class Timeline(Endpoint):
    """`profiles/:id/timeline`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint(
        "Timeline of a profile",
        CursorPage[EventView],
        parameters=[*EVENT_FILTERS, PAGE_PARAMETERS[1], CURSOR],
        tag="profiles",
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """What the person did over all their profiles, newest first, however long ago; go on with `next`."""
        rights = rights_of(request)
        person = person_of(profile_id)
        page = timeline(
            person,
            cursor=request.query_params.get("cursor", ""),
            limit=limit_of(request),
            wanted=EventFilter.of(request.query_params),
            clear=sight_of(rights),
        )
        record_read(rights, object_type="profile", object_ids=[person.public_id], fields=["events"], request=request)
        return Response(page)


class RecentEvents(Endpoint):
    """`events/:customerId/recent`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("Recent events of a customer", CursorPage[EventView], parameters=[PAGE_PARAMETERS[1]], tag="events")
    def get(self, request: Request, customer_id: str) -> Response:
        """Newest first; 25 unless `limit` says otherwise."""
        rights = rights_of(request)
        person = person_of(customer_id)
        page = timeline(person, limit=limit_of(request, 25), clear=sight_of(rights))
        record_read(rights, object_type="profile", object_ids=[person.public_id], fields=["events"], request=request)
        return Response(page)


class ProfileEvents(Endpoint):
    """`profiles/:id/events`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint(
        "Events of a profile",
        EitherPage[EventView],
        parameters=[*EVENT_FILTERS, *PAGE_PARAMETERS, CURSOR],
        tag="profiles",
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Of the whole person, over all their profiles. Newest first."""
        return listed_events(request, profile_id)


class ProfileMerges(Endpoint):
    """`profiles/:id/merges`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("Merges of a profile", Page[MergeView], parameters=PAGE_PARAMETERS, tag="profiles")
    def get(self, request: Request, profile_id: str) -> Response:
        """Every merge that a profile of the person took part in, newest first; undone ones too."""
        asked = window(request)
        person = person_of(profile_id)
        rows = Merge.objects.filter(Q(target__person=person) | Q(source__person=person))
        page = rows.select_related("target", "source").order_by("-id")[asked.offset : asked.offset + asked.limit]
        return Response(asked.page_of([MergeView.of(row) for row in page], total=rows.count()))


def listed_events(request: Request, customer_id: str | None) -> Response:
    """Events by the filters of the query, of everybody or of one person; with `cursor` in the query by cursor."""
    rights = rights_of(request)
    wanted = EventFilter.of(request.query_params)
    clear = sight_of(rights)
    page: Any
    if "cursor" in request.query_params:
        page = events_after(
            wanted,
            customer_id=customer_id,
            cursor=request.query_params["cursor"],
            limit=limit_of(request),
            clear=clear,
        )
    else:
        asked = window(request)
        found = events_page(wanted, customer_id=customer_id, page=asked.page, limit=asked.limit, clear=clear)
        page = asked.page_of(found.data, total=found.total)
    ids = list(dict.fromkeys(event.customer_id for event in page.data if event.customer_id))
    record_read(rights, object_type="profile", object_ids=ids, fields=["events"], request=request)
    return Response(page)
