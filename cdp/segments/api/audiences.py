"""Audiences by REST (003): a segment without those suppressed and without the held-out share (S8)."""

import uuid
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec
from django.db import IntegrityError, transaction
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_change
from cdp.access.rights import rights_of
from cdp.consents.purposes import purposes_named
from cdp.core.clock import iso, now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter
from cdp.segments.audience import AudienceSize, audience_overlaps, audience_size
from cdp.segments.definition import new_key, segment_of
from cdp.segments.models import Audience
from cdp.segments.overlap import Overlap

EXAMPLE = {
    "name": "Spring mailing",
    "segment": "in-germany",
    "suppressed": ["complained"],
    "holdOut": 10,
    "consent": "MARKETING_EMAIL",
}


class AudienceBody(msgspec.Struct, rename="camel"):
    """What an audience is. `segment` and `suppressed` are ids or keys of segments; `hold_out` is in percent."""

    name: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    segment: str | UnsetType = UNSET
    segment_id: str | UnsetType = UNSET
    suppressed: list[str] | UnsetType = UNSET
    hold_out: float | UnsetType = UNSET
    consent: str | UnsetType | None = UNSET


class AudienceView(msgspec.Struct, frozen=True, rename="camel"):
    """An audience. `segment` and `suppressed` are keys; `segment_size` counts all of the segment."""

    id: str
    key: str
    name: str
    description: str
    segment: str
    segment_id: str
    segment_size: int
    suppressed: list[str]
    hold_out: float
    consent: str | None
    created_at: str
    updated_at: str


class Overlaps(msgspec.Struct, frozen=True):
    """The overlap with each of the others."""

    data: list[Overlap]


def audience_of(named: str) -> Audience:
    """The audience with this id or key, its segment loaded. Raises NotFound."""
    rows = Audience.objects.select_related("segment")
    try:
        found = rows.filter(public_id=uuid.UUID(named)).first()
    except ValueError:
        found = None
    found = found or rows.filter(key=named).first()
    if found is None:
        raise NotFound("There is no audience with this id or key.")
    return found


class Audiences(Endpoint):
    """`audiences`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments", "POST": "define_segments"}

    @endpoint("List audiences", Page[AudienceView], parameters=PAGE_PARAMETERS, tag="audiences")
    def get(self, request: Request) -> Response:
        """By name."""
        asked = window(request)
        rows = Audience.objects.select_related("segment").prefetch_related("suppressed")
        page = rows[asked.offset : asked.offset + asked.limit]
        return Response(asked.page_of([_view(audience) for audience in page], total=rows.count()))

    @endpoint(
        "Create an audience",
        AudienceView,
        body=AudienceBody,
        statuses={201: "Created."},
        example=EXAMPLE,
        tag="audiences",
    )
    def post(self, request: Request) -> Response:
        """Its people follow the segment; nothing needs to be computed."""
        return Response(_view(_set(Audience(), read_body(request, AudienceBody), request)), status=201)


class OneAudience(Endpoint):
    """`audiences/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments", "PUT": "define_segments", "PATCH": "define_segments",
                                       "DELETE": "define_segments"}  # fmt: skip

    @endpoint("One audience", AudienceView, tag="audiences")
    def get(self, _request: Request, audience_id: str) -> Response:
        """By its id or its key."""
        return Response(_view(audience_of(audience_id)))

    @endpoint("Change an audience", AudienceView, body=AudienceBody, example=EXAMPLE, tag="audiences")
    def put(self, request: Request, audience_id: str) -> Response:
        """Sets what is given and leaves the rest. Who is held out stays so when the share does not shrink."""
        return Response(_view(_set(audience_of(audience_id), read_body(request, AudienceBody), request)))

    @endpoint("Change a part of an audience", AudienceView, body=AudienceBody, example=EXAMPLE, tag="audiences")
    def patch(self, request: Request, audience_id: str) -> Response:
        """The same as PUT."""
        return self.put(request, audience_id)

    @endpoint("Delete an audience", None, tag="audiences")
    def delete(self, request: Request, audience_id: str) -> Response:
        """The segment stays."""
        audience = audience_of(audience_id)
        with transaction.atomic():
            _record(request, "delete", audience, ())
            audience.delete()
        return Response(status=204)


class AudienceSizeNow(Endpoint):
    """`audiences/:id/size`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments"}

    @endpoint("Size of an audience", AudienceSize, tag="audiences")
    def get(self, _request: Request, audience_id: str) -> Response:
        """Exact, with how many are left out for which reason."""
        return Response(audience_size(audience_of(audience_id), now=now_us()))


class AudienceOverlap(Endpoint):
    """`audiences/:id/overlap`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_segments"}

    @endpoint(
        "Overlap of an audience",
        Overlaps,
        parameters=[parameter("with", "Ids or keys of other audiences, with commas; without it the first 10 by name.")],
        tag="audiences",
    )
    def get(self, request: Request, audience_id: str) -> Response:
        """How many people are in this audience and in each of the others."""
        audience = audience_of(audience_id)
        named = [name for name in request.query_params.get("with", "").split(",") if name.strip()]
        if len(named) > 10:
            raise Invalid("Name up to 10 audiences.", details={"path": "with"})
        others = [audience_of(name.strip()) for name in named] or list(
            Audience.objects.exclude(pk=audience.pk).select_related("segment")[:10]
        )
        return Response(Overlaps(audience_overlaps(audience, others, now=now_us())))


def _record(request: Request, action: str, audience: Audience, fields: Iterable[str]) -> None:
    actor, ids = rights_of(request).actor, [audience.public_id]
    record_change(actor, action=action, object_type="audience", object_ids=ids, fields=fields)


def _set(audience: Audience, body: AudienceBody, request: Request) -> Audience:
    """Save what is given, recorded in the same transaction. Raises Invalid, NotFound and Conflict."""
    now = now_us()
    new = audience.pk is None
    given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    for name, most in (("name", 200), ("description", 2000)):
        value = given.get(name, getattr(audience, name))
        if len(value) > most or (name == "name" and not value.strip()):
            raise Invalid(f"`{name}` must have from 1 to {most} characters.", details={"path": name})
        setattr(audience, name, value)
    wanted = given.get("segment", given.get("segment_id"))
    if wanted is not None:
        audience.segment = segment_of(wanted)
    elif new:
        raise Invalid("Name the `segment` that the audience is made of.", details={"path": "segment"})
    _set_limits(audience, given)
    if new:
        audience.key = new_key(Audience, given.get("key"), audience.name)
        audience.created_at = now
    elif given.get("key", audience.key) != audience.key:
        raise Invalid("An audience keeps its key: destinations name it.", details={"path": "key"})
    audience.updated_at = now
    suppressed = [segment_of(name) for name in given["suppressed"]] if "suppressed" in given else None
    try:
        with transaction.atomic():
            audience.save()
            if suppressed is not None:
                audience.suppressed.set(suppressed)
            _record(request, "add" if new else "change", audience, given)
    except IntegrityError:
        raise Conflict("An audience with this key exists.", code="key_taken", details={"path": "key"}) from None
    return audience


def _set_limits(audience: Audience, given: dict[str, Any]) -> None:
    share = given.get("hold_out", audience.hold_out)
    if not 0 <= share <= 100:
        raise Invalid("`holdOut` is a share in percent, from 0 to 100.", details={"path": "holdOut"})
    audience.hold_out = share
    consent = given.get("consent", audience.consent) or ""
    if consent:
        found = purposes_named([consent], path="consent")[consent]
        if len(found) > 1:
            message = f"An audience is for one purpose. {consent[:40]!r} is a group of: {', '.join(found)}."
            raise Invalid(message, details={"path": "consent"})
        consent = found[0]
    audience.consent = consent


def _view(audience: Audience) -> AudienceView:
    segment = audience.segment
    return AudienceView(
        id=str(audience.public_id),
        key=audience.key,
        name=audience.name,
        description=audience.description,
        segment=segment.key,
        segment_id=str(segment.public_id),
        segment_size=segment.size,
        suppressed=sorted(other.key for other in audience.suppressed.all()),
        hold_out=audience.hold_out,
        consent=audience.consent or None,
        created_at=iso(audience.created_at),
        updated_at=iso(audience.updated_at),
    )
