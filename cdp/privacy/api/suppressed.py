"""Suppressed identifiers by REST: how many are kept out, since when, and letting one in again."""

from typing import ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.rights import rights_of
from cdp.core.clock import iso, iso_or_none
from cdp.core.errors import Invalid, NotFound
from cdp.identities.lookup import current_rules, known_kind
from cdp.identities.models import SuppressedIdentifier
from cdp.identities.suppression import KINDS, digest_of_value
from cdp.privacy.lift import lift_suppression
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

_STATES = ("active", "lifted", "all")


class SuppressedView(msgspec.Struct, frozen=True, rename="camel"):
    """An identifier that is kept out. Its value is not known: only its type and a keyed digest."""

    id: str
    type: str
    digest: str
    request_id: str | None
    created_at: str
    active: bool
    lifted_at: str | None
    lifted_by: str | None
    reason: str | None


class FindBody(msgspec.Struct, rename="camel"):
    """An identifier as a person gives it; `namespace` for an external id."""

    type: str
    value: str
    namespace: str = ""


class LiftBody(msgspec.Struct, rename="camel"):
    """Why the person may come back."""

    reason: str


class Suppressed(Endpoint):
    """`privacy/suppressed`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_suppressed"}

    @endpoint(
        "List suppressed identifiers",
        Page[SuppressedView],
        parameters=[
            parameter("state", "Only these; without it the active ones.", enum=_STATES),
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
        rows = SuppressedIdentifier.objects.select_related("type").order_by("-id")
        if state != "all":
            rows = rows.filter(lifted_at__isnull=state == "active")
        page = list(rows[asked.offset : asked.offset + asked.limit])
        return Response(asked.page_of([suppressed_view(row) for row in page], total=rows.count()))


class FindSuppressed(Endpoint):
    """`privacy/suppressed/find`."""

    needs: ClassVar[dict[str, str]] = {"POST": "read_suppressed"}

    @endpoint(
        "Find a suppressed identifier",
        SuppressedView,
        body=FindBody,
        example={"type": "email", "value": "ada@example.com"},
        tag="privacy",
    )
    def post(self, request: Request) -> Response:
        """By its value, which is digested and forgotten. 404 when it is not suppressed."""
        body = read_body(request, FindBody)
        return Response(suppressed_view(suppressed_called(body.type, body.value, body.namespace)))


class LiftSuppressed(Endpoint):
    """`privacy/suppressed/:id/lift`."""

    needs: ClassVar[dict[str, str]] = {"POST": "lift_suppression"}

    @endpoint(
        "Lift a suppression",
        SuppressedView,
        body=LiftBody,
        example={"reason": "The person opened a new account"},
        tag="privacy",
    )
    def post(self, request: Request, suppressed_id: str) -> Response:
        """Messages with this identifier are stored again, of somebody new. 409 when it was lifted before."""
        body = read_body(request, LiftBody)
        row = None
        if suppressed_id.isdecimal() and len(suppressed_id) < 19:
            row = SuppressedIdentifier.objects.select_related("type").filter(pk=int(suppressed_id)).first()
        if row is None:
            raise NotFound("There is no suppressed identifier with this id.")
        return Response(suppressed_view(lift_suppression(row, actor=rights_of(request).actor, why=body.reason)))


def suppressed_called(code: str, value: str, namespace: str = "") -> SuppressedIdentifier:
    """The row that keeps an identifier out. Raises Invalid for a type that never is, NotFound."""
    rules = current_rules()
    kind, space = known_kind(rules, code, namespace)
    if kind.code not in KINDS:
        raise Invalid(f"Only {', '.join(KINDS)} are suppressed: the others may be shared.", details={"path": "type"})
    digest = digest_of_value(rules, kind, space, value)
    row = SuppressedIdentifier.objects.select_related("type").filter(digest=digest, lifted_at=None).first()
    if row is None:
        raise NotFound("This identifier is not suppressed.")
    return row


def suppressed_view(row: SuppressedIdentifier) -> SuppressedView:
    """As the API shows it."""
    return SuppressedView(
        id=str(row.pk),
        type=row.type.code,
        digest=bytes(row.digest).hex(),
        request_id=str(row.request) if row.request else None,
        created_at=iso(row.created_at),
        active=row.lifted_at is None,
        lifted_at=iso_or_none(row.lifted_at),
        lifted_by=row.lifted_by or None,
        reason=row.why or None,
    )
