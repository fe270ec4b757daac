"""The people of segments and audiences by REST, with a name and a contact; by hand for static segments (S1, S8)."""

import uuid
from collections.abc import Sequence
from typing import ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_change, record_read
from cdp.access.rights import rights_of
from cdp.core.clock import iso, now_us
from cdp.core.errors import Invalid
from cdp.customer360.masking import Clear, sight_of
from cdp.customer360.people_rows import people_rows
from cdp.identities.lookup import find_person
from cdp.profiles.models import Profile
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import CursorPage, EitherPage, limit_of, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter
from cdp.segments.api.audiences import audience_of
from cdp.segments.audience import audience_after
from cdp.segments.definition import segment_of
from cdp.segments.members import Member, members_after, members_page
from cdp.segments.membership import MOST, add_members, remove_members
from cdp.segments.models import Segment

CURSOR = parameter("cursor", "Where to go on: `next` of the page before; empty for the first page.")


class MemberView(msgspec.Struct, frozen=True, rename="camel"):
    """A person in a segment. Name and contact (e-mail, user id or phone) are masked for those without the right."""

    id: str
    name: str | None
    contact: str | None
    events: int
    purchases: int
    last_seen: str
    entered_at: str


class NamedIdentifier(msgspec.Struct):
    """An identifier as in `identity/resolve`."""

    type: str
    value: str | int


class MembersBody(msgspec.Struct, rename="camel"):
    """People by the ids of profiles, or by identifiers; 10,000 at most."""

    profile_ids: list[str] = []
    identifiers: list[NamedIdentifier] = []


class MembersChanged(msgspec.Struct, frozen=True, rename="camel"):
    """`changed` people entered or left; `unknown` names nobody has: a profile's id, or the number of the identifier."""

    changed: int
    size: int
    unknown: list[str]


class SegmentMembers(Endpoint):
    """`segments/:id/members`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "define_segments", "DELETE": "define_segments"}

    @endpoint(
        "Members of a segment",
        EitherPage[MemberView],
        parameters=[*PAGE_PARAMETERS, CURSOR],
        tag="segments",
    )
    def get(self, request: Request, segment_id: str) -> Response:
        """All of one generation: never half of the old and half of the new. Oldest person first."""
        segment = segment_of(segment_id)
        if "cursor" in request.query_params:
            limit = limit_of(request)
            members = members_after(segment, _opened(request), limit=limit)
            return Response(_cursor_page(request, members, limit))
        asked = window(request)
        members = members_page(segment, offset=asked.offset, limit=asked.limit)
        return Response(asked.page_of(_views(request, members), total=segment.size))

    @endpoint("Add members", MembersChanged, body=MembersBody, example={"profileIds": [str(uuid.UUID(int=1))]},
              tag="segments")  # fmt: skip
    def post(self, request: Request, segment_id: str) -> Response:
        """Puts people on the list of a static segment. They stay when they are merged, and both when separated."""
        segment = segment_of(segment_id)
        people, unknown = _named(read_body(request, MembersBody))
        _record(request, "add members", segment, people)
        changed = add_members(segment, people, actor=rights_of(request).actor)
        segment.refresh_from_db()
        return Response(MembersChanged(changed, segment.size, unknown))

    @endpoint("Remove members", MembersChanged, body=MembersBody, example={"profileIds": [str(uuid.UUID(int=1))]},
              tag="segments")  # fmt: skip
    def delete(self, request: Request, segment_id: str) -> Response:
        """Takes people off the list of a static segment."""
        segment = segment_of(segment_id)
        people, unknown = _named(read_body(request, MembersBody))
        _record(request, "remove members", segment, people)
        changed = remove_members(segment, people)
        segment.refresh_from_db()
        return Response(MembersChanged(changed, segment.size, unknown))


class AudienceMembers(Endpoint):
    """`audiences/:id/members`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("People of an audience", CursorPage[MemberView], parameters=[PAGE_PARAMETERS[1], CURSOR], tag="audiences")
    def get(self, request: Request, audience_id: str) -> Response:
        """Whoever may be addressed now. Oldest person first."""
        limit = limit_of(request)
        audience = audience_of(audience_id)
        members = audience_after(audience, _opened(request), limit=limit, now=now_us())
        return Response(_cursor_page(request, members, limit))


def member_views(members: Sequence[Member], *, now: int, clear: Clear) -> list[MemberView]:
    """Members as a list shows them: four queries for a page."""
    rows = people_rows([member.person_id for member in members], now=now, clear=clear) if members else {}
    return [
        MemberView(
            id=member.public_id,
            name=rows[member.person_id].name or None,
            contact=rows[member.person_id].contact or None,
            events=rows[member.person_id].totals.events,
            purchases=rows[member.person_id].totals.purchases,
            last_seen=iso(rows[member.person_id].totals.last_seen),
            entered_at=iso(member.entered_at),
        )
        for member in members
        if member.person_id in rows
    ]


def _record(request: Request, action: str, segment: Segment, people: Sequence[int]) -> None:
    """Before the change, which has transactions of its own: it is never there without its entry."""
    record_change(
        rights_of(request).actor, action=action, object_type="segment", object_ids=[segment.public_id],
        fields=["members"], why=f"{len(people)} people named",
    )  # fmt: skip


def _views(request: Request, members: Sequence[Member]) -> list[MemberView]:
    rights = rights_of(request)
    views = member_views(members, now=now_us(), clear=sight_of(rights))
    ids = [view.id for view in views]
    record_read(rights, object_type="profile", object_ids=ids, fields=("name", "contact"), request=request)
    return views


def _cursor_page(request: Request, members: Sequence[Member], limit: int) -> CursorPage[MemberView]:
    following = str(members[-1].person_id) if len(members) == limit else None
    return CursorPage(data=_views(request, members), next=following)


def _opened(request: Request) -> int:
    text = request.query_params.get("cursor", "") or "0"
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise Invalid("This cursor is none of ours: begin without one.", code="invalid_cursor")
    return int(text)


def _named(body: MembersBody) -> tuple[list[int], list[str]]:
    """The people that a body names, and the names that nobody has. Raises Invalid."""
    if not 1 <= len(body.profile_ids) + len(body.identifiers) <= MOST:
        raise Invalid(f"Name from 1 to {MOST} people by `profileIds` or `identifiers`.", details={"path": "profileIds"})
    asked = {}
    for text in body.profile_ids:
        try:
            asked[uuid.UUID(text)] = text
        except ValueError:
            message = f"{text[:40]!r} is no id of a profile: ids are UUIDs."
            raise Invalid(message, details={"path": "profileIds"}) from None
    found = dict(Profile.objects.filter(public_id__in=asked).values_list("public_id", "person_id"))
    people = set(found.values())
    unknown = [text for public_id, text in asked.items() if public_id not in found]
    for number, one in enumerate(body.identifiers):
        person = find_person(one.type, str(one.value))
        if person is None:
            unknown.append(f"identifiers[{number}]")
        else:
            people.add(person.pk)
    return sorted(people), unknown
