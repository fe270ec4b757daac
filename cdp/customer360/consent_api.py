"""Consents that are only read, by REST: the vocabulary, the history of a person, the whole ledger as a file."""

import uuid
from collections.abc import Mapping
from typing import ClassVar

import msgspec
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.consents.export import MEDIA, export_ledger
from cdp.consents.models import ConsentRecord, Ledger
from cdp.consents.purposes import purposes_named
from cdp.core.errors import Invalid
from cdp.customer360.consent_view import PurposePart, StatementPart, purpose_parts, statement_parts, statements_of
from cdp.customer360.masking import sight_of
from cdp.profiles.people import fragment_ids, person_of
from cdp.rest.body import moment
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import CursorPage, limit_of
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

CURSOR = parameter("cursor", "Where to go on: `next` of the page before; empty for the first page.")
KIND = parameter("consentType", "Only statements about this type.")


FILTERS = (
    KIND,
    parameter("granted", "true or false.", enum=("true", "false")),
    parameter("from", "Stated at this time or later (ISO 8601)."),
    parameter("to", "Stated before this time."),
    parameter("customerId", "Only of this person, by the id of any of their profiles."),
)


class Vocabulary(msgspec.Struct, frozen=True):
    """Every purpose, in the order in which they are shown."""

    data: list[PurposePart]


class Purposes(Endpoint):
    """`consents/purposes`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint("Purposes of consent", Vocabulary, tag="consents")
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's interface
        """The types and groups that statements can be about; an administrator can add to them."""
        return Response(Vocabulary(purpose_parts()))


class ConsentHistory(Endpoint):
    """`consents/:customerId/history`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint(
        "History of consents",
        CursorPage[StatementPart],
        parameters=[PAGE_PARAMETERS[1], CURSOR, KIND],
        tag="consents",
    )
    def get(self, request: Request, customer_id: str) -> Response:
        """Every statement of the person, what was written last first. Nothing in it is ever changed."""
        limit = limit_of(request)
        name = request.query_params.get("consentType", "").strip()
        person = person_of(customer_id)
        rows = statements_of(fragment_ids(person.pk))
        if name:
            rows = rows.filter(type__in=purposes_named([name], path="consentType")[name])
        if cursor := request.query_params.get("cursor", ""):
            rows = rows.filter(pk__lt=_opened(cursor))
        page = list(rows[: limit + 1])
        rights = rights_of(request)
        record_read(rights, object_type="profile", object_ids=[person.public_id], fields=["consents"], request=request)
        parts = statement_parts(page[:limit], clear=sight_of(rights))
        return Response(CursorPage(data=parts, next=parts[-1].id if len(page) > limit else None))


class LedgerExport(Endpoint):
    """`privacy/consents/export`."""

    needs: ClassVar[dict[str, str]] = {"POST": "read_privacy"}

    @endpoint("Export the consent ledger", None, files=[MEDIA.partition(";")[0]], parameters=FILTERS, tag="consents")
    def post(self, request: Request) -> StreamingHttpResponse:
        """Every statement as CSV, what was written first first; without addresses and metadata. It is recorded."""
        asked = {name: str(value) for name, value in request.query_params.items() if value}
        rows = _filtered(ConsentRecord.objects.all(), asked)
        known = " ".join(
            sorted(f"{name}={asked[name]}" for name in asked if name in ("consentType", "granted", "from", "to"))
        )
        lines = export_ledger(rows, actor=rights_of(request).actor, asked=known)
        headers = {"Content-Disposition": 'attachment; filename="consents.csv"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(lines, content_type=MEDIA, headers=headers)


def _filtered(rows: Ledger, asked: Mapping[str, str]) -> Ledger:
    """Raises Invalid, NotFound."""
    if name := asked.get("consentType"):
        rows = rows.filter(type__in=purposes_named([name], path="consentType")[name])
    if said := asked.get("granted"):
        if said not in ("true", "false"):
            raise Invalid("`granted` is true or false.", details={"path": "granted"})
        rows = rows.filter(granted=said == "true")
    for name, lookup in (("from", "at__gte"), ("to", "at__lt")):
        if (us := moment(asked.get(name), name)) is not None:
            rows = rows.filter(**{lookup: us})
    if customer_id := asked.get("customerId"):
        rows = rows.filter(profile_id__in=fragment_ids(person_of(customer_id).pk))
    return rows


def _opened(cursor: str) -> int:
    """The number of the row that the cursor names. Raises Invalid."""
    try:
        found = ConsentRecord.objects.filter(public_id=uuid.UUID(cursor)).values_list("pk", flat=True).first()
    except ValueError:
        found = None
    if found is None:
        raise Invalid("This cursor is none of ours: begin without one.", code="invalid_cursor")
    return found
