"""Every error in one shape: `{"error", "code", "message", "details"}`, for unknown addresses and our own faults too."""

import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from cdp.core.errors import DomainError

log = logging.getLogger(__name__)

RETRY_SECONDS = 5


class ErrorBody(msgspec.Struct, frozen=True):
    """`error` is the status in words, `code` is stable, `message` says what to do, `details` is for programs."""

    error: str
    code: str
    message: str
    details: dict[str, Any]


_CODES = {
    400: "bad_request",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    429: "throttled",
    500: "internal_error",
    503: "unavailable",
}
_SENTENCES = {
    400: "The request cannot be understood.",
    403: "This is not allowed.",
    404: "There is nothing at this address. The API is described at /api/docs/.",
    500: "Something went wrong on our side. It is in the log; trying again may help.",
    503: "The store cannot take this now. Try again in a few seconds.",
}


def error_body(
    status: int, message: str = "", *, code: str = "", details: Mapping[str, object] | None = None
) -> ErrorBody:
    """The body of an error; `message` and `code` have defaults by status."""
    return ErrorBody(
        error=HTTPStatus(status).phrase,
        code=code or _CODES.get(status, "error"),
        message=message or _SENTENCES.get(status, HTTPStatus(status).description),
        details=dict(details or {}),
    )


def handle(exc: Exception, context: Mapping[str, Any]) -> Response:
    """The answer to what a view raised.

    Of an unexpected error only the type and the place are logged: its text may be personal.
    """
    set_rollback()
    if isinstance(exc, DomainError):
        headers = {"Retry-After": str(RETRY_SECONDS)} if exc.status == 503 else None
        body = error_body(exc.status, exc.message, code=exc.code, details=exc.details)
        return Response(body, status=exc.status, headers=headers)
    if isinstance(exc, exceptions.APIException):
        return _of_framework(exc)
    if isinstance(exc, Http404):
        return Response(error_body(404), status=404)
    if isinstance(exc, PermissionDenied):
        return Response(error_body(403), status=403)
    if isinstance(exc, RequestDataTooBig):
        return Response(error_body(413), status=413)
    if isinstance(exc, SuspiciousOperation):
        return Response(error_body(400), status=400)
    if isinstance(exc, OperationalError | InterfaceError):
        log.warning("The store did not answer: %s", type(exc).__name__)
        return Response(error_body(503), status=503, headers={"Retry-After": str(RETRY_SECONDS)})
    place = "".join(traceback.format_tb(exc.__traceback__))
    log.error("%s raised %s\n%s", type(context.get("view")).__name__, type(exc).__name__, place)
    return Response(error_body(500), status=500)


def _of_framework(exc: exceptions.APIException) -> Response:
    headers = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if isinstance(exc, exceptions.Throttled):
        seconds = max(1, int(getattr(exc, "wait", None) or 1))
        message = f"Too many requests. Try again in {seconds} s."
        body = error_body(429, message, details={"retryAfter": seconds})
        return Response(body, status=429, headers={**headers, "Retry-After": str(seconds)})
    codes = exc.get_codes()
    code = codes if isinstance(codes, str) and codes not in _DEFAULT_CODES else ""
    message = str(exc.detail) if isinstance(exc.detail, str) else ""
    return Response(error_body(exc.status_code, message, code=code), status=exc.status_code, headers=headers)


_DEFAULT_CODES = {"error", "parse_error", "invalid"}


@csrf_exempt
def unknown(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view's interface
    """The view of every address below /api/ that nothing else answers."""
    return _json(404)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: JSON below /api/, a page elsewhere."""
    if _is_api(request):
        return _json(404)
    return defaults.page_not_found(request, exception or Http404())


def server_error(request: HttpRequest) -> HttpResponse:
    """500: JSON below /api/, a page elsewhere."""
    return _json(500) if _is_api(request) else defaults.server_error(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: JSON below /api/, a page elsewhere."""
    return _json(400) if _is_api(request) else defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: JSON below /api/, a page elsewhere."""
    return _json(403) if _is_api(request) else defaults.permission_denied(request, exception)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _json(status: int) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(error_body(status)), status=status, content_type="application/json")
