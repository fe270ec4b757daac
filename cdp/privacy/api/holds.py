"""Legal holds by REST: whose data must be kept, why, and the end of it."""

import uuid
from collections.abc import Sequence
from typing import ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.rights import rights_of
from cdp.core.clock import iso, iso_or_none
from cdp.core.errors import Invalid, NotFound
from cdp.privacy.holds import place_hold, release_hold
from cdp.privacy.models import LegalHold
from cdp.profiles.models import Profile
from cdp.profiles.people import person_of
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

_STATES = ("active", "released", "all")


class HoldBody(msgspec.Struct, rename="camel"):
    """Whom to hold (the id of any profile of the person, as `profileId` or `customerId`), and why."""

    reason: str
    profile_id: str | None = None
    customer_id: str | None = None


class ReleaseBody(msgspec.Struct, rename="camel"):
    """Why the hold ends."""

    why: str


class HoldView(msgspec.Struct, frozen=True, rename="camel"):
    """A hold. `profileId` is the person's id now; null when nothing is left of them."""

    id: str
    profile_id: str | None
    reason: str
    active: bool
    created_at: str
    created_by: str
    released_at: str | None
    released_by: str | None


class Holds(Endpoint):
    """`privacy/holds`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy", "POST": "privacy"}

    @endpoint(
        "List legal holds",
        Page[HoldView],
        parameters=[
            parameter("state", "Only these; without it the active ones.", enum=_STATES),
            parameter("profileId", "Only those that were placed on this person, by the id of any of its profiles."),
            *PAGE_PARAMETERS,
        ],
        tag="privacy",
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        asked = window(request)
        state = request.query_params.get("state", "active")
        if state not in _STATES:
            raise Invalid(f"`state` must be one of {', '.join(_STATES)}.", details={"path": "state"})
        rows = LegalHold.objects.order_by("-id")
        if state != "all":
            rows = rows.filter(released_at__isnull=state == "active")
        if profile_id := request.query_params.get("profileId"):
            rows = rows.filter(person__person_id=person_of(profile_id).pk)
        page = list(rows[asked.offset : asked.offset + asked.limit])
        return Response(asked.page_of(hold_views(page), total=rows.count()))

    @endpoint(
        "Place a legal hold",
        HoldView,
        body=HoldBody,
        statuses={201: "Held from now on."},
        example={"profileId": "0197a1c0-7b5e-7c3a-9f1d-2f4b6a8c0e11", "reason": "Case 2026-114"},
        tag="privacy",
    )
    def post(self, request: Request) -> Response:
        """Neither retention nor a deletion touches the person until it is released; merges do not end it."""
        body = read_body(request, HoldBody)
        profile_id = body.profile_id or body.customer_id
        if not profile_id:
            raise Invalid("Name the person: `profileId` is missing.", details={"path": "profileId"})
        hold = place_hold(person_of(profile_id), reason=body.reason, actor=rights_of(request).actor)
        return Response(hold_views([hold])[0], status=201)


class OneHold(Endpoint):
    """`privacy/holds/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy"}

    @endpoint("One legal hold", HoldView, tag="privacy")
    def get(self, _request: Request, hold_id: str) -> Response:
        """By its id."""
        return Response(hold_views([_hold(hold_id)])[0])


class ReleaseHold(Endpoint):
    """`privacy/holds/:id/release`."""

    needs: ClassVar[dict[str, str]] = {"POST": "privacy"}

    @endpoint(
        "Release a legal hold",
        HoldView,
        body=ReleaseBody,
        example={"why": "Case 2026-114 is closed"},
        tag="privacy",
    )
    def post(self, request: Request, hold_id: str) -> Response:
        """The person is free when this was their last one. 409 when it has been released already."""
        body = read_body(request, ReleaseBody)
        released = release_hold(_hold(hold_id), actor=rights_of(request).actor, why=body.why)
        return Response(hold_views([released])[0])


def hold_views(holds: Sequence[LegalHold]) -> list[HoldView]:
    """As the API shows them: one query for all."""
    people = dict(
        Profile.objects.filter(pk__in=[hold.person_id for hold in holds]).values_list("pk", "person__public_id")
    )
    return [
        HoldView(
            id=str(hold.public_id),
            profile_id=str(people[hold.person_id]) if hold.person_id in people else None,
            reason=hold.reason,
            active=hold.released_at is None,
            created_at=iso(hold.created_at),
            created_by=hold.created_by,
            released_at=iso_or_none(hold.released_at),
            released_by=hold.released_by or None,
        )
        for hold in holds
    ]


def _hold(hold_id: str) -> LegalHold:
    try:
        found = LegalHold.objects.filter(public_id=uuid.UUID(hold_id)).first()
    except ValueError:
        raise NotFound("There is no legal hold with this id: ids are UUIDs.") from None
    if found is None:
        raise NotFound("There is no legal hold with this id.")
    return found
