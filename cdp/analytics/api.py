"""The overview by REST (003)."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from cdp.analytics.overview import Overview, overview
from cdp.core.clock import DAY, now_us, parse_time
from cdp.core.errors import Invalid
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint, parameter

_USUAL_DAYS = 30
_MOST_DAYS = 732


class AnalyticsOverview(Endpoint):
    """`analytics/overview`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read"}

    @endpoint(
        "Dashboard metrics",
        Overview,
        parameters=[
            parameter("startDate", "ISO 8601; the first day, in UTC. Without it the last 30 days, today included."),
            parameter("endDate", "ISO 8601; the last day, in UTC. Without it today."),
        ],
        tag="analytics",
    )
    def get(self, request: Request) -> Response:
        """People, events, revenue and activity by day, of history as it is now."""
        today = now_us() // DAY
        last = _day(request, "endDate", today)
        first = _day(request, "startDate", last - _USUAL_DAYS + 1)
        if not 0 <= last - first < _MOST_DAYS:
            raise Invalid(
                f"Ask for 1 to {_MOST_DAYS} days, the first not after the last.", details={"path": "startDate"}
            )
        return Response(overview(first * DAY, (last + 1) * DAY))


def _day(request: Request, name: str, otherwise: int) -> int:
    text = request.query_params.get(name, "").strip()
    if not text:
        return otherwise
    moment = parse_time(text)
    if moment is None:
        raise Invalid(f"`{name}` must be a date such as 2026-01-31.", details={"path": name})
    return moment // DAY
