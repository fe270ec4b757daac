"""A request has one id: X-Request-ID in and out, in the audit log, and in every log line that is written for it.

And it has a duration, which is summed up for /metrics.
"""

import contextvars
import logging
import re
import threading
import time
from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

_USABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_current: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
_log = logging.getLogger("cdp.request")
_adding = threading.Lock()
_answered: dict[str, tuple[int, float]] = {}


def current_request_id() -> str:
    """The id of the request that this code runs for, or blank."""
    return _current.get()


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
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _USABLE.fullmatch(given) else uuid4().hex
        request.META["HTTP_X_REQUEST_ID"] = request_id
        token = _current.set(request_id)
        start = time.perf_counter()
        try:
            response = self._get_response(request)
            match = request.resolver_match
            seconds = time.perf_counter() - start
            route = match.route if match else "-"
            _log.info("%s /%s %d %.1f ms", request.method, route, response.status_code, seconds * 1000)
            _add(f"{response.status_code // 100}xx", seconds)
        finally:
            _current.reset(token)
        response["X-Request-ID"] = request_id
        return response


def _add(status: str, seconds: float) -> None:
    with _adding:
        count, total = _answered.get(status, (0, 0.0))
        _answered[status] = count + 1, total + seconds
