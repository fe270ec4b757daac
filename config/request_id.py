"""A request has one id: X-Request-ID in and out, in the audit log, and in every log line that is written for it.

And it has a duration, which is summed up for /metrics.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from cdp.core.ids import request_id
from cdp.core.origin import Origin, coming_from
from cdp.pipeline.visitor import request_address

_log = logging.getLogger("cdp.request")
_adding = threading.Lock()
_answered: dict[str, tuple[int, float]] = {}


def turnaround() -> dict[str, tuple[int, float]]:
    """Since this process started, by class of status (`2xx`): how many requests, and their seconds together."""
    with _adding:
        return dict(sorted(_answered.items()))


class RequestId:
    """Middleware, the first of all. Takes over a usable id of the client or makes one.

    Logs a line for each request: method, route (not the path, which may hold an identifier), status and milliseconds.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the id in the header X-Request-ID."""
        said = request_id(request.META.get("HTTP_X_REQUEST_ID", ""))
        request.META["HTTP_X_REQUEST_ID"] = said
        start = time.perf_counter()
        with coming_from(Origin(said, request_address(request))):
            response = self._get_response(request)
            match = request.resolver_match
            seconds = time.perf_counter() - start
            route = match.route if match else "-"
            _log.info("%s /%s %d %.1f ms", request.method, route, response.status_code, seconds * 1000)
            _add(f"{response.status_code // 100}xx", seconds)
        response["X-Request-ID"] = said
        return response


def _add(status: str, seconds: float) -> None:
    with _adding:
        count, total = _answered.get(status, (0, 0.0))
        _answered[status] = count + 1, total + seconds
