"""The life of a controller's request: taken as verified, left for a while in which it may be cancelled, carried out."""

import logging

from django.conf import settings
from django.db import transaction

from cdp.core.clock import MINUTE, iso
from cdp.core.errors import Conflict, DomainError, NotFound
from cdp.privacy.carrying import start
from cdp.privacy.models import ControllerNotice, PrivacyRequest
from cdp.privacy.opendsr.wire import VERSIONS, Order, RequestState, subject_request_id
from cdp.privacy.package_link import package_link
from cdp.privacy.request_body import open_body
from cdp.privacy.requests import open_request, verify_request

CHANNEL = "opendsr"
Status = PrivacyRequest.Status
STATES = {
    Status.UNVERIFIED: "pending",
    Status.PENDING: "pending",
    Status.RUNNING: "in_progress",
    Status.PARTIAL: "in_progress",
    Status.COMPLETED: "completed",
    Status.REJECTED: "cancelled",
    Status.CANCELLED: "cancelled",
}
"""Our status → that of the specification, which has none for a refusal: an officer tells the controller why."""
_log = logging.getLogger(__name__)


def take(order: Order, *, version: int, actor: str, now: int) -> PrivacyRequest:
    """Open a request that the controller answers for, with whom to tell of it, in one transaction.

    The same id again gives the request that there is. Raises Conflict when that one asks for something else, Invalid.
    """
    with transaction.atomic():
        request = open_request(
            order.kind,
            order.identifiers,
            regulation=order.regulation,
            channel=CHANNEL,
            actor=actor,
            external_id=order.id,
            callbacks=order.callbacks,
        )
        if request.duplicate:
            if (request.channel, request.kind, request.regulation) != (CHANNEL, order.kind, order.regulation):
                raise Conflict("There is another request with this id.", details={"path": "subject_request_id"})
            return request
        ControllerNotice.objects.bulk_create(
            ControllerNotice(request=request, url=url, version=version, next_at=now) for url in order.callbacks
        )
        return verify_request(request, by=actor, how="controller")


def order_with(text: str) -> PrivacyRequest:
    """The request of a controller with this id. Raises Invalid for what is no id, NotFound."""
    found = PrivacyRequest.objects.filter(channel=CHANNEL, external_id=subject_request_id(text)).first()
    if found is None:
        raise NotFound("There is no request with this id.")
    return found


def state_of(request: PrivacyRequest, *, version: int) -> RequestState:
    """How far it is; with the address of the package while that can be fetched."""
    return RequestState(
        controller_id=request.created_by,
        expected_completion_time=iso(request.due_at),
        subject_request_id=request.external_id or "",
        request_status=STATES[Status(request.status)],  # type: ignore[arg-type]  # the values are its words
        api_version=VERSIONS[version],
        results_url=package_link(request, open_body(request)),
    )


def start_waiting(now: int) -> int:
    """Begin those that were taken OPENDSR_WAIT_MINUTES ago; returns how many. One query when there are none.

    One that is refused (a legal hold, say) waits for an officer from then on: its outcome says why.
    """
    waiting = PrivacyRequest.objects.filter(channel=CHANNEL, status=Status.PENDING, outcome="")
    begun = 0
    for request in waiting.filter(verified_at__lte=now - settings.OPENDSR_WAIT_MINUTES * MINUTE).order_by("id")[:100]:
        try:
            start(request, actor=CHANNEL)
            begun += 1
        except DomainError as error:
            said = f"An officer has to look at it: {error.code.replace('_', ' ')}."
            PrivacyRequest.objects.filter(pk=request.pk, status=Status.PENDING).update(outcome=said)
            _log.warning("A request of a controller waits for an officer: %s", error.code)
    return begun
