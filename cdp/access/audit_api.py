"""The audit by REST: for privacy officers and administrators."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit_search import AuditFilter, AuditView, behind, cursor_of
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import MAX_OFFSET, EitherPage, limit_of, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter


class Audit(Endpoint):
    """`audit`."""

    needs: ClassVar[dict[str, str]] = {"GET": "audit"}

    @endpoint(
        "Audit entries",
        EitherPage[AuditView],
        parameters=[
            parameter("actor", "user:<id>, key:<id>, shell:<login>, or the name of a user or an API key."),
            parameter("action", "read, export, change, add, delete, merge, …; exactly."),
            parameter("objectType", "profile, source, apikey, user, …; exactly."),
            parameter("objectId", "The id of an object that the entry names."),
            parameter("requestId", "The X-Request-ID of the request that caused it."),
            parameter("startDate", "ISO 8601; entries at or after it."),
            parameter("endDate", "ISO 8601; entries at or before it. A date alone includes that day."),
            *PAGE_PARAMETERS,
            parameter("cursor", "Where to go on: `next` of the page before; empty for the first page."),
        ],
        tag="audit",
    )
    def get(self, request: Request) -> Response:
        """Newest first: who changed what, and who saw or exported whose personal data. Field names, never values.

        With `cursor` the answer has `next`, which reaches any depth; else `pagination`, which counts to 100,000.
        """
        rows = AuditFilter.of(request.query_params).rows()
        if "cursor" in request.query_params:
            limit = limit_of(request)
            page = list(behind(rows, request.query_params["cursor"])[: limit + 1])
            more = cursor_of(page[limit - 1]) if len(page) > limit else None
            return Response(EitherPage(data=[AuditView.of(row) for row in page[:limit]], next=more))
        asked = window(request)
        found = rows[asked.offset : asked.offset + asked.limit]
        return Response(asked.page_of([AuditView.of(row) for row in found], total=rows.order_by()[:MAX_OFFSET].count()))
