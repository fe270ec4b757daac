"""Requests of people about their data by REST (002's `privacy/requests`), for officers and admin keys."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from django.db import transaction
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.core.clock import DAY, now_us
from cdp.core.errors import Invalid
from cdp.privacy.api.request_view import OpenedRequest, RequestDetails, RequestView, details_of
from cdp.privacy.deadlines import OPEN
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.requests import open_request, request_of
from cdp.privacy.steps import OBJECT
from cdp.privacy.verification import verify_by_token
from cdp.rest.body import moment, read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

TAG = "privacy"
_SOON_DAYS = 7
_PLAIN = ("user_id", "customer_id", "email", "phone", "profile_id", "anonymous_id", "device_id", "cookie_id")


class RequestBody(msgspec.Struct, rename="camel"):
    """What somebody asks, and any identifiers of theirs; all must mean one person.

    `externalIds` is by system (`{"shopify": "77"}`); `identifiers` takes any type by its name. `changes` of a
    rectification: `traits` (null deletes), `identifiers` to add, `removeIdentifiers`; of an objection: `purposes`, all
    of marketing when left out. `verificationToken` is a customer token of the shop's server (docs/widget.md): the
    request is verified at once.
    """

    type: str
    regulation: str = "gdpr"
    user_id: str | int | None = None
    customer_id: str | int | None = None
    email: str | None = None
    phone: str | None = None
    profile_id: str | None = None
    anonymous_id: str | int | None = None
    device_id: str | int | None = None
    cookie_id: str | int | None = None
    external_ids: dict[str, str | int] = {}
    identifiers: dict[str, str | int] = {}
    contact: str = ""
    changes: dict[str, Any] | None = None
    verification_token: str | None = None

    def named(self) -> Mapping[str, str]:
        """Identifier by the name that the caller used."""
        given = {name: getattr(self, name) for name in _PLAIN}
        given |= {f"external:{system.removesuffix('Id')}": value for system, value in self.external_ids.items()}
        given |= self.identifiers
        return {name: str(value) for name, value in given.items() if value is not None}


class Requests(Endpoint):
    """`privacy/requests`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy", "POST": "privacy"}

    @endpoint(
        "List privacy requests",
        Page[RequestView],
        parameters=[
            parameter("status", "One status, or `open` for all that wait for something.",
                      enum=["open", *PrivacyRequest.Status.values]),
            parameter("type", "One kind.", enum=PrivacyRequest.Kind.values),
            parameter("due", "`overdue`, `soon` (within 7 days, or over), or a time: open and due before it."),
            *PAGE_PARAMETERS,
        ],
        tag=TAG,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """The next deadline first where one is asked for by `due`, else the newest first. Nothing about whom."""
        asked = window(request)
        now = now_us()
        rows = _filtered(request.query_params.get, now=now)
        page = rows[asked.offset : asked.offset + asked.limit]
        return Response(asked.page_of([RequestView.of(row, now=now) for row in page], total=rows.count()))

    @endpoint(
        "Open a privacy request",
        OpenedRequest,
        body=RequestBody,
        statuses={201: "Opened.", 200: "The same is open already: `duplicate`."},
        example={"type": "deletion", "userId": "user123", "email": "user@example.com"},
        tag=TAG,
    )
    def post(self, request: Request) -> Response:
        """By any identifiers of the person, whether anybody is known by them or not: the answer is the same.

        409 when they belong to different people.
        """
        body = read_body(request, RequestBody)
        with transaction.atomic():
            made = open_request(
                body.type,
                body.named(),
                regulation=body.regulation,
                channel="api",
                actor=rights_of(request).actor,
                contact=body.contact,
                changes=body.changes,
            )
            if body.verification_token and made.status == PrivacyRequest.Status.UNVERIFIED:
                duplicate = made.duplicate
                made = verify_by_token(made, body.verification_token)
                made.duplicate = duplicate
        return Response(OpenedRequest.of(made), status=200 if made.duplicate else 201)


class OneRequest(Endpoint):
    """`privacy/requests/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy"}

    @endpoint("One privacy request", RequestDetails, tag=TAG)
    def get(self, request: Request, request_id: str) -> Response:
        """With whom it is about, as long as they are not erased."""
        return details(request, request_of(request_id))


def details(request: Request, row: PrivacyRequest, *, status: int = 200) -> Response:
    """The answer with everything about a request, recorded as a read."""
    rights = rights_of(request)
    view = details_of(row, rights=rights)
    if row.body is not None:
        fields = ["identifiers", "contact", "changes", "notes"]
        record_read(rights, object_type=OBJECT, object_ids=[row.public_id], fields=fields, request=request)
    return Response(view, status=status)


def _filtered(asked: Any, *, now: int) -> QuerySet[PrivacyRequest]:
    rows = PrivacyRequest.objects.all()
    if status := asked("status"):
        if status != "open" and status not in PrivacyRequest.Status.values:
            names = ", ".join(["open", *PrivacyRequest.Status.values])
            raise Invalid(f"`status` must be one of {names}.", details={"path": "status"})
        rows = rows.filter(status__in=OPEN) if status == "open" else rows.filter(status=status)
    if kind := asked("type"):
        if kind not in PrivacyRequest.Kind.values:
            message = f"`type` must be one of {', '.join(PrivacyRequest.Kind.values)}."
            raise Invalid(message, details={"path": "type"})
        rows = rows.filter(kind=kind)
    if due := asked("due"):
        before = {"overdue": now, "soon": now + _SOON_DAYS * DAY}.get(due) or moment(due, "due")
        rows = rows.filter(status__in=OPEN, due_at__lte=before).order_by("due_at", "id")
    return rows
