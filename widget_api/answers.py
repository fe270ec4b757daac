"""What the widget API answers: small JSON with an ETag, CORS headers by key, errors in the product's shape."""

import hashlib
from collections.abc import Callable
from functools import wraps

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from cdp.core.errors import DomainError
from cdp.core.json import encode
from cdp.rest.errors import error_body
from widget_api.visit import TooMany, Visit, visit_of

_HEADERS = "Authorization, Content-Type, X-Customer-Id"
_PREFLIGHT_SECONDS = "7200"

Page = Callable[[HttpRequest, Visit], HttpResponse]
View = Callable[[HttpRequest], HttpResponse]


class NotAllowed(DomainError):
    """The endpoint does not know the method."""

    code = "method_not_allowed"
    status = 405


def json_answer(value: msgspec.Struct, request: HttpRequest, *, cache: str = "private, no-cache") -> HttpResponse:
    """`value` with its ETag, or 304 when the client has it already."""
    return bytes_answer(encode(value), request, cache=cache)


def bytes_answer(body: bytes, request: HttpRequest, *, cache: str) -> HttpResponse:
    """JSON text with its ETag, or 304 when the client has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    known = {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}
    answer = (
        HttpResponse(status=304) if tag in known else HttpResponse(body, content_type="application/json; charset=utf-8")
    )
    answer["ETag"] = tag
    answer["Cache-Control"] = cache
    return answer


def refusal(error: DomainError) -> HttpResponse:
    """The error as JSON, which no cache keeps."""
    body = encode(error_body(error.status, error.message, code=error.code, details=error.details))
    answer = HttpResponse(body, status=error.status, content_type="application/json; charset=utf-8")
    answer["Cache-Control"] = "no-store"
    if isinstance(error, TooMany):
        answer["Retry-After"] = str(error.seconds)
    return answer


def for_pages(page: Page) -> View:
    """A view that pages of the key's origins may GET: answers their pre-flight, and every error in the same shape."""

    @csrf_exempt
    @wraps(page)
    def view(request: HttpRequest) -> HttpResponse:
        try:
            visit = visit_of(request)
        except DomainError as error:
            return _varied(refusal(error))
        try:
            answer = _preflight() if request.method == "OPTIONS" else page(request, visit)
        except DomainError as error:
            answer = refusal(error)
        if visit.origin:
            answer["Access-Control-Allow-Origin"] = visit.origin
            answer["Access-Control-Expose-Headers"] = "Retry-After"
        return _varied(answer)

    return view


def _preflight() -> HttpResponse:
    answer = HttpResponse(status=204)
    answer["Access-Control-Allow-Methods"] = "GET, OPTIONS"
    answer["Access-Control-Allow-Headers"] = _HEADERS
    answer["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
    return answer


def _varied(answer: HttpResponse) -> HttpResponse:
    answer["Vary"] = "Origin, Authorization, X-Customer-Id"
    return answer
