"""Retention policies by REST: made, tried, run (002)."""

import uuid
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.models import Source
from cdp.access.rights import rights_of
from cdp.consents.models import Purpose
from cdp.core.clock import DAY, iso, iso_or_none, now_us
from cdp.core.errors import Invalid, NotFound
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention import ask_for_run, delete_policy, save_policy
from cdp.privacy.retention_run import preview
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import Page, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint

EXAMPLE = {"name": "Page views", "subject": "events", "eventNames": ["PAGE_VIEW"], "days": 90, "active": False}


class PolicyBody(msgspec.Struct, rename="camel"):
    """What a policy is. `subject`: `events`, `profiles` (without activity) or `logs`.

    `eventNames` are names of events or types such as PURCHASE, `source` the name or number of a source, `purpose` the
    code of a purpose; an empty one is for all. `logs` are names of request logs. What is older than `days` goes.
    """

    name: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    event_names: list[str] | UnsetType = UNSET
    source: str | int | UnsetType | None = UNSET
    purpose: str | UnsetType | None = UNSET
    logs: list[str] | UnsetType = UNSET
    days: int | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class PolicyView(msgspec.Struct, frozen=True, rename="camel"):
    """A policy. `queued`: somebody asked for a run that has not ended; `problem`: why the last one could not end."""

    id: str
    name: str
    subject: str
    event_names: list[str]
    source: str | None
    purpose: str | None
    logs: list[str]
    days: int
    active: bool
    queued: bool
    running: bool
    last_run_at: str | None
    last_deleted: int | None
    problem: str | None


class PreviewView(msgspec.Struct, frozen=True, rename="camel"):
    """What a run now would delete: how many there are and the time of the oldest.

    Of events, `hot` are in the operational store and `history` in the lake; many are in both and count once in `count`.
    """

    id: str
    as_of: str
    older_than: str
    count: int
    oldest: str | None
    hot: int
    history: int
    sessions: int


class Policies(Endpoint):
    """`privacy/retention`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy", "POST": "privacy"}

    @endpoint("List retention policies", Page[PolicyView], parameters=PAGE_PARAMETERS, tag="privacy")
    def get(self, request: Request) -> Response:
        """By name."""
        asked = window(request)
        rows = RetentionPolicy.objects.select_related("source").order_by("name")
        page = rows[asked.offset : asked.offset + asked.limit]
        return Response(asked.page_of([_view(policy) for policy in page], total=rows.count()))

    @endpoint(
        "Create a retention policy",
        PolicyView,
        body=PolicyBody,
        statuses={201: "Created."},
        example=EXAMPLE,
        tag="privacy",
    )
    def post(self, request: Request) -> Response:
        """It deletes nothing before it is active: look at the preview first."""
        given = _given(read_body(request, PolicyBody))
        for name in ("name", "days"):
            if name not in given:
                raise Invalid(f"`{name}` is missing.", details={"path": name})
        return Response(_view(save_policy(RetentionPolicy(), given, actor=rights_of(request).actor)), status=201)


class OnePolicy(Endpoint):
    """`privacy/retention/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy", "PUT": "privacy", "PATCH": "privacy",
                                       "DELETE": "privacy"}  # fmt: skip

    @endpoint("One retention policy", PolicyView, tag="privacy")
    def get(self, _request: Request, policy_id: str) -> Response:
        """By its id."""
        return Response(_view(_policy(policy_id)))

    @endpoint("Change a retention policy", PolicyView, body=PolicyBody, example={"active": True}, tag="privacy")
    def put(self, request: Request, policy_id: str) -> Response:
        """Sets what is given and leaves the rest. An active one runs at the next RETENTION_HOUR, or when asked to."""
        given = _given(read_body(request, PolicyBody))
        return Response(_view(save_policy(_policy(policy_id), given, actor=rights_of(request).actor)))

    @endpoint(
        "Change a part of a retention policy", PolicyView, body=PolicyBody, example={"active": True}, tag="privacy"
    )
    def patch(self, request: Request, policy_id: str) -> Response:
        """The same as PUT."""
        return self.put(request, policy_id)

    @endpoint("Delete a retention policy", None, tag="privacy")
    def delete(self, request: Request, policy_id: str) -> Response:
        """What it decided about is decided by the others, or kept."""
        delete_policy(_policy(policy_id), actor=rights_of(request).actor)
        return Response(status=204)


class PreviewPolicy(Endpoint):
    """`privacy/retention/:id/preview`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy"}

    @endpoint("Preview a retention policy", PreviewView, tag="privacy")
    def get(self, _request: Request, policy_id: str) -> Response:
        """Counts what a run now would delete, with the expression that the run uses. Deletes nothing."""
        policy, now = _policy(policy_id), now_us()
        old = preview([policy], now=now)[policy.pk]
        return Response(
            PreviewView(
                id=str(policy.public_id),
                as_of=iso(now),
                older_than=iso(now - policy.days * DAY),
                count=old.rows,
                oldest=iso_or_none(old.oldest),
                hot=old.hot,
                history=old.lake,
                sessions=old.sessions,
            )
        )


class RunPolicy(Endpoint):
    """`privacy/retention/:id/run`."""

    needs: ClassVar[dict[str, str]] = {"POST": "privacy"}

    @endpoint("Run a retention policy", PolicyView, statuses={202: "The worker runs it within seconds."}, tag="privacy")
    def post(self, request: Request, policy_id: str) -> Response:
        """Now, instead of at its hour. 409 for a policy that is not active."""
        return Response(_view(ask_for_run(_policy(policy_id), actor=rights_of(request).actor)), status=202)


def _policy(policy_id: str) -> RetentionPolicy:
    try:
        found = RetentionPolicy.objects.select_related("source").filter(public_id=uuid.UUID(policy_id)).first()
    except ValueError:
        raise NotFound("There is no retention policy with this id: ids are UUIDs.") from None
    if found is None:
        raise NotFound("There is no retention policy with this id.")
    return found


def _given(body: PolicyBody) -> dict[str, Any]:
    """The fields of the model that the body sets. Raises Invalid for a source or purpose that is none."""
    given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    for name in ("event_names", "logs"):
        if name in given:
            given[name] = [text.strip() for text in given[name]]
    if given.get("source") is not None:
        named = given["source"]
        found = Source.objects.filter(**({"pk": named} if isinstance(named, int) else {"name": named})).first()
        if found is None:
            raise Invalid("There is no source with this name or number.", details={"path": "source"})
        given["source"] = found
    if given.get("purpose"):
        wanted = given["purpose"]
        purpose = Purpose.objects.filter(code=wanted.upper()).first()
        if purpose is None:
            known = ", ".join(Purpose.objects.values_list("code", flat=True))
            raise Invalid(f"{wanted[:40]!r} is no purpose. Use one of: {known}.", details={"path": "purpose"})
        given["purpose"] = purpose
    elif "purpose" in given:
        given["purpose"] = None
    return given


def _view(policy: RetentionPolicy) -> PolicyView:
    return PolicyView(
        id=str(policy.public_id),
        name=policy.name,
        subject=policy.subject,
        event_names=policy.event_names,
        source=policy.source.name if policy.source else None,
        purpose=policy.purpose_id,
        logs=policy.logs,
        days=policy.days,
        active=policy.active,
        queued=policy.wanted_at is not None,
        running=policy.running_since is not None,
        last_run_at=iso_or_none(policy.last_run_at),
        last_deleted=policy.last_deleted,
        problem=policy.error or None,
    )
