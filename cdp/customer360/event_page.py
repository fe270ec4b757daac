"""One event as the debugger shows it: what came, what was decided about it, and what became of each identifier."""

from typing import Any

import msgspec

from cdp.customer360.event_view import EventView, event_views
from cdp.customer360.masking import shown
from cdp.events.body import open_body
from cdp.events.models import Event
from cdp.identities.decisions import DECISION_SENTENCES, USE_SENTENCES, Decision, Use
from cdp.identities.models import Identifier, IdentifierType
from cdp.identities.value import open_identifier


class CarriedRow(msgspec.Struct, frozen=True):
    """An identifier that the event carried, and what became of it as the end of a sentence."""

    type: str
    namespace: str
    value: str
    outcome: str
    digest: str


class ExplainedEvent(msgspec.Struct, frozen=True):
    """An event and the explanation of it. `received` and `ts` are µs."""

    view: EventView
    ts: int
    received: int
    decision: str
    carried: list[CarriedRow]
    warnings: list[str]
    profile_id: int
    digest: bytes


def explained_event(event: Event, *, clear: bool) -> ExplainedEvent:
    """What there is to say about `event`, masked unless `clear`: three queries."""
    body = open_body(event.body)
    values = _values([carried.digest for carried in body.identifiers])
    personal = dict(IdentifierType.objects.values_list("code", "personal"))
    return ExplainedEvent(
        view=event_views(Event.objects.filter(pk=event.pk), clear=clear)[0],
        ts=event.ts,
        received=event.received,
        decision=DECISION_SENTENCES[Decision(event.decision)],
        carried=[
            CarriedRow(
                type=carried.type,
                namespace=carried.namespace,
                value=_shown(carried.type, values.get(carried.digest), personal, clear=clear),
                outcome=USE_SENTENCES[Use(carried.use)],
                digest=carried.digest.hex(),
            )
            for carried in body.identifiers
        ],
        warnings=body.warnings,
        profile_id=event.profile_id,
        digest=bytes(event.digest),
    )


def _values(digests: list[bytes]) -> dict[bytes, str]:
    rows = Identifier.objects.filter(digest__in=digests).values_list("digest", "body")
    return {bytes(digest): open_identifier(body).value for digest, body in rows}


def _shown(code: str, value: str | None, personal: dict[str, Any], *, clear: bool) -> str:
    """A value that never became an identifier is in the event's own context or properties, if anywhere."""
    return (
        "not kept as an identifier"
        if value is None
        else shown("email" if personal.get(code) else "", value, clear=clear)
    )
