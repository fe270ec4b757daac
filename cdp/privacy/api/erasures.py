"""Erasures by REST: 003's `gdpr/delete/:id` and `DELETE profiles/:id`, several at once, their receipts."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.rights import rights_of
from cdp.core.clock import iso, iso_or_none
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.pipeline.api.profiles import OneProfile
from cdp.privacy.erase import begin_erasures, delete_at_once
from cdp.privacy.models import Erasure
from cdp.privacy.receipt import public_key
from cdp.profiles.people import person_of
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint, parameter

MOST = 1_000
_STATES = ("running", "partial", "done", "all")


class ErasureStep(msgspec.Struct, frozen=True):
    """A part of erasing: what went, by store, and why it is not done, if it is not."""

    name: str
    done: bool
    erased: dict[str, int]
    problem: str | None


class ErasureView(msgspec.Struct, frozen=True, rename="camel"):
    """An erasure. It never says about whom. `receiptUrl` is there once everything is gone and was scanned."""

    id: str
    request_id: str | None
    status: str
    started_at: str
    ended_at: str | None
    steps: list[ErasureStep]
    receipt_url: str | None


class Begun(msgspec.Struct, frozen=True):
    """Erasures that wait for the worker; that of somebody whose erasure ran already is the one that runs."""

    data: list[ErasureView]


class EraseBody(msgspec.Struct, rename="camel"):
    """The ids of up to 1,000 people (of any profile of each)."""

    profile_ids: list[str]


class ReceiptKey(msgspec.Struct, frozen=True, rename="camel"):
    """The Ed25519 key that verifies the signature of every receipt, in base64."""

    algorithm: str
    public_key: str


class DeletePerson(Endpoint):
    """`gdpr/delete/:id` (003)."""

    needs: ClassVar[dict[str, str]] = {"POST": "erase"}

    @endpoint("Delete customer data", ErasureView, statuses={202: "Suppressed and gone; proof follows."}, tag="privacy")
    def post(self, request: Request, profile_id: str) -> Response:
        """The whole person, by the id of any of its profiles, everywhere and for good; messages of theirs stay out.

        What the operational store holds is gone when this answers; the worker clears history and proves it. Ask
        `privacy/erasures/:id` how far it is. 409 under a legal hold.
        """
        [begun] = delete_at_once([person_of(profile_id)], actor=rights_of(request).actor)
        return Response(erasure_view(begun), status=202)


class ErasableProfile(OneProfile):
    """`profiles/:id`, whose DELETE erases."""

    needs: ClassVar[dict[str, str]] = {**OneProfile.needs, "DELETE": "write"}

    @endpoint("Delete a profile", None, tag="profiles")
    def delete(self, request: Request, profile_id: str) -> Response:
        """Erases the whole person, as `POST gdpr/delete/:id` does: messages with their identifiers stay out.

        409 under a legal hold.
        """
        delete_at_once([person_of(profile_id)], actor=rights_of(request).actor)
        return Response(status=204)


class Erasures(Endpoint):
    """`privacy/erasures`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy", "POST": "erase"}

    @endpoint(
        "List erasures",
        Page[ErasureView],
        parameters=[parameter("status", "Only these; all without it.", enum=_STATES), *PAGE_PARAMETERS],
        tag="privacy",
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        asked = window(request)
        status = request.query_params.get("status", "all")
        if status not in _STATES:
            raise Invalid(f"`status` must be one of {', '.join(_STATES)}.", details={"path": "status"})
        rows = Erasure.objects.select_related("request").order_by("-id")
        if status != "all":
            rows = rows.filter(status=status)
        page = list(rows[asked.offset : asked.offset + asked.limit])
        return Response(asked.page_of([erasure_view(row) for row in page], total=rows.count()))

    @endpoint(
        "Erase people",
        Begun,
        body=EraseBody,
        statuses={202: "All of them suppressed and waiting for the worker."},
        example={"profileIds": ["0197a1c0-7b5e-7c3a-9f1d-2f4b6a8c0e11"]},
        tag="privacy",
    )
    def post(self, request: Request) -> Response:
        """All or nobody: 404 when one is unknown, 409 when one is under a legal hold.

        From now on nothing of theirs is stored; the worker erases them together, with one proof for all.
        """
        asked = read_body(request, EraseBody).profile_ids
        if not 1 <= len(asked) <= MOST:
            raise Invalid(f"Give 1 to {MOST} ids.", details={"path": "profileIds"})
        people = [person_of(profile_id) for profile_id in asked]
        begun = begin_erasures(people, actor=rights_of(request).actor)
        return Response(Begun([erasure_view(row) for row in begun]), status=202)


class OneErasure(Endpoint):
    """`privacy/erasures/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy"}

    @endpoint("One erasure", ErasureView, tag="privacy")
    def get(self, _request: Request, erasure_id: str) -> Response:
        """How far it is, and what is in the way."""
        return Response(erasure_view(erasure_called(erasure_id)))


class ErasureReceipt(Endpoint):
    """`privacy/erasures/:id/receipt`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy"}

    @endpoint("The receipt of an erasure", None, files=("application/json",), tag="privacy")
    def get(self, _request: Request, erasure_id: str) -> HttpResponse:
        """The signed receipt as a file. 409 while there is none."""
        return receipt_file(erasure_called(erasure_id))


class ErasureKey(Endpoint):
    """`privacy/receipt-key`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy"}

    @endpoint("The key that verifies receipts", ReceiptKey, tag="privacy")
    def get(self, _request: Request) -> Response:
        """The signature of a receipt covers its JSON without `signature`, with sorted keys and without spaces."""
        return Response(ReceiptKey("Ed25519", public_key()))


def erasure_called(erasure_id: str) -> Erasure:
    """The erasure with this id. Raises NotFound."""
    try:
        found = Erasure.objects.select_related("request").filter(public_id=uuid.UUID(erasure_id)).first()
    except ValueError:
        raise NotFound("There is no erasure with this id: ids are UUIDs.") from None
    if found is None:
        raise NotFound("There is no erasure with this id.")
    return found


def receipt_file(row: Erasure) -> HttpResponse:
    """The receipt as a download. Raises Conflict while there is none."""
    if row.receipt is None:
        raise Conflict("There is no receipt yet: something still has to be erased or proven.", code="no_receipt")
    body = msgspec.json.format(msgspec.json.encode(row.receipt), indent=2)
    name = f'attachment; filename="erasure-{row.public_id}.json"'
    return HttpResponse(body, content_type="application/json", headers={"Content-Disposition": name})


def erasure_view(row: Erasure) -> ErasureView:
    """As the API shows it."""
    ready = row.receipt is not None
    return ErasureView(
        id=str(row.public_id),
        request_id=str(row.request.public_id) if row.request is not None else None,
        status=row.status,
        started_at=iso(row.started_at),
        ended_at=iso_or_none(row.ended_at),
        steps=erasure_steps(row.steps),
        receipt_url=f"/api/v1/cdp/privacy/erasures/{row.public_id}/receipt" if ready else None,
    )


def erasure_steps(steps: Mapping[str, Any]) -> list[ErasureStep]:
    """What each part did, in order."""
    order: Sequence[str] = ("store", "requests", "look-ups", "audit", "lake", "proof")
    return [
        ErasureStep(name, bool(said["done"]), dict(said.get("gone", {})), said.get("problem"))
        for name, said in sorted(steps.items(), key=lambda item: order.index(item[0]))
    ]
