"""The endpoints of OpenDSR below /opendsr/: versions 1 (OpenGDPR), 2 and 3, which differ in names alone."""

import base64
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from cdp.access.rights import rights_of
from cdp.access.throttles import within_limit
from cdp.core.clock import iso, now_us
from cdp.core.errors import Conflict, Unavailable
from cdp.core.json import encode
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.opendsr.certificate import signer
from cdp.privacy.opendsr.notices import signed_headers
from cdp.privacy.opendsr.orders import order_with, state_of, take
from cdp.privacy.opendsr.wire import VERSIONS, Cancelled, Received, discovery_of, order_of
from cdp.privacy.requests import cancel_request
from cdp.rest.endpoint import Endpoint
from cdp.rest.errors import ErrorBody, error_body

_NOT_CLEAR = "A package shows everything in clear: this key has not the right to see personal and sensitive data."
PUBLIC_A_MINUTE = 120
"""How often one address may ask for what is public."""


class _OpenDsr(Endpoint):
    """Answers are signed; errors are in the shape of the specification."""

    schema = None

    def handle_exception(self, exc: Exception) -> Any:
        """What the house answers, in the other shape; a conflict is 400 there."""
        answer = super().handle_exception(exc)
        refused = _refused(answer.data, 400 if answer.status_code == Conflict.status else answer.status_code)
        for name in ("Retry-After", "WWW-Authenticate"):
            if name in answer:
                refused[name] = answer[name]
        return refused


class OpenDsrRequests(_OpenDsr):
    """`requests`, and `opengdpr_requests` in version 1."""

    needs: ClassVar[dict[str, str]] = {"POST": "privacy"}

    def post(self, request: Request, version: str) -> HttpResponse:
        """Take a request; the same id again answers the same."""
        raw, rights = request._request.body, rights_of(request)
        order = order_of(raw, version=int(version))
        if order.kind != PrivacyRequest.Kind.DELETION and not rights.sees_all:
            raise PermissionDenied(_NOT_CLEAR)
        taken = take(order, version=int(version), actor=rights.actor, now=now_us())
        answer = Received(
            controller_id=taken.created_by,
            expected_completion_time=iso(taken.due_at),
            received_time=iso(taken.created_at),
            encoded_request=base64.b64encode(raw).decode(),
            subject_request_id=order.id,
        )
        return _signed(answer, int(version), status=201)


class OneOpenDsrRequest(_OpenDsr):
    """`requests/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy", "DELETE": "privacy"}

    def get(self, request: Request, version: str, subject_request_id: str) -> HttpResponse:
        """How far it is; the link to the package for a key that sees everything in clear."""
        state = state_of(order_with(subject_request_id), version=int(version))
        if not rights_of(request).sees_all:
            state = msgspec.structs.replace(state, results_url=None)
        return _signed(state, int(version))

    def delete(self, request: Request, version: str, subject_request_id: str) -> HttpResponse:
        """Cancel it while it is pending."""
        order = order_with(subject_request_id)
        cancel_request(order, actor=rights_of(request).actor)
        answer = Cancelled(
            controller_id=order.created_by,
            received_time=iso(now_us()),
            subject_request_id=order.external_id or "",
            api_version=VERSIONS[int(version)],
        )
        return _signed(answer, int(version), status=202)


@require_GET
def discovery(request: HttpRequest, version: str) -> HttpResponse:
    """What there is, for everybody."""
    return _public(request, lambda: _signed(discovery_of(int(version)), int(version)))


@require_GET
def certificate(request: HttpRequest) -> HttpResponse:
    """The certificate of the key that signs, for everybody."""
    return _public(request, lambda: HttpResponse(signer().pem, content_type="application/x-pem-file"))


def _signed(answer: msgspec.Struct, version: int, *, status: int = 200) -> HttpResponse:
    body = encode(answer)
    headers = {"Cache-Control": "no-store", **signed_headers(body, version=version)}
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)


def _public(request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
    """The answer for whoever asks not too often."""
    if not within_limit(f"opendsr:{request.META.get('REMOTE_ADDR', '')}", PUBLIC_A_MINUTE):
        return _refused(error_body(429), 429)
    try:
        return answer()
    except Unavailable as error:
        return _refused(error_body(503, error.message, code=error.code), 503)


def _refused(body: ErrorBody, status: int) -> HttpResponse:
    """An error in the shape of the specification."""
    detail = {"domain": body.code, "reason": body.error, "message": body.message}
    said = {"error": {"code": status, "message": body.message, "errors": [detail]}}
    headers = {"Cache-Control": "no-store", **({"Retry-After": "60"} if status in (429, 503) else {})}
    return HttpResponse(encode(said), status=status, content_type="application/json", headers=headers)
