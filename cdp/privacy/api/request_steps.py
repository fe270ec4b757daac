"""The steps of a request's life by REST."""

from collections.abc import Callable
from typing import ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.rights import rights_of
from cdp.privacy.api.request_view import RequestDetails
from cdp.privacy.api.requests import TAG, details
from cdp.privacy.carrying import start
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.requests import cancel_request, extend_request, reject_request, request_of, verify_request
from cdp.privacy.verification import send_link
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint


class Verified(msgspec.Struct):
    """How the officer knows: document, account, call, mail or person."""

    how: str


class Reason(msgspec.Struct):
    """Why, for the person and for the record; it is kept encrypted."""

    reason: str = ""


class Extension(msgspec.Struct):
    """By how many days, and why."""

    days: int
    reason: str


class Step(Endpoint):
    """A step of one request: only those in its `next` are possible, 409 for others."""

    needs: ClassVar[dict[str, str]] = {"POST": "privacy"}

    def take(
        self, request: Request, request_id: str, step: Callable[[PrivacyRequest, str], PrivacyRequest]
    ) -> Response:
        """Take it as the caller; the answer is the request after it, 202 while the worker carries it out."""
        row = step(request_of(request_id), rights_of(request).actor)
        running = row.status == PrivacyRequest.Status.RUNNING
        return details(request, row, status=202 if running else 200)


class VerifyRequest(Step):
    """`privacy/requests/:id/verify`."""

    @endpoint("Verify a privacy request", RequestDetails, body=Verified, example={"how": "document"}, tag=TAG)
    def post(self, request: Request, request_id: str) -> Response:
        """An officer says that whoever asks is the person, and how they know."""
        body = read_body(request, Verified)
        return self.take(request, request_id, lambda row, actor: verify_request(row, by=actor, how=body.how or " "))


class SendLink(Step):
    """`privacy/requests/:id/send-link`."""

    @endpoint("Send a verification link", RequestDetails, tag=TAG)
    def post(self, request: Request, request_id: str) -> Response:
        """To an address that the person's profile holds. Links sent before are void."""
        return self.take(request, request_id, lambda row, actor: send_link(row, actor=actor))


class ProcessRequest(Step):
    """`privacy/requests/:id/process`."""

    @endpoint(
        "Carry out a privacy request",
        RequestDetails,
        statuses={200: "Done.", 202: "The worker does it: ask for the request again."},
        tag=TAG,
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Once it is verified. 409 when it is not, or for a deletion under a legal hold."""
        return self.take(request, request_id, lambda row, actor: start(row, actor=actor))


class RejectRequest(Step):
    """`privacy/requests/:id/reject`."""

    @endpoint("Reject a privacy request", RequestDetails, body=Reason, example={"reason": "Not the person"}, tag=TAG)
    def post(self, request: Request, request_id: str) -> Response:
        """With a reason, which the person may ask for."""
        body = read_body(request, Reason)
        return self.take(request, request_id, lambda row, actor: reject_request(row, actor=actor, reason=body.reason))


class CancelRequest(Step):
    """`privacy/requests/:id/cancel`."""

    @endpoint("Cancel a privacy request", RequestDetails, body=Reason, body_required=False, tag=TAG)
    def post(self, request: Request, request_id: str) -> Response:
        """Because whoever asked does not want it any more."""
        body = read_body(request, Reason)
        return self.take(request, request_id, lambda row, actor: cancel_request(row, actor=actor, reason=body.reason))


class ExtendRequest(Step):
    """`privacy/requests/:id/extend`."""

    @endpoint(
        "Extend the deadline of a privacy request",
        RequestDetails,
        body=Extension,
        example={"days": 30, "reason": "Many requests at once"},
        tag=TAG,
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Once, by up to 60 days (GDPR) or 45 (CCPA)."""
        body = read_body(request, Extension)
        return self.take(
            request,
            request_id,
            lambda row, actor: extend_request(row, days=body.days, actor=actor, reason=body.reason),
        )
