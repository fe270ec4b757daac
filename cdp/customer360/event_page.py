"""One event as the debugger shows it: what came, what was decided about it, and what became of each identifier."""

import msgspec

from cdp.customer360.event_view import EventView, event_views
from cdp.customer360.masking import Clear, shown_identifier
from cdp.events.body import open_body
from cdp.events.explain import Explanation, why
from cdp.events.models import Event
from cdp.identities.decisions import USE_SENTENCES, Use
from cdp.identities.models import Identifier, IdentifierType
from cdp.identities.value import open_identifier


class CarriedRow(msgspec.Struct, frozen=True):
    """An identifier that the event carried, and what became of it as the end of a sentence."""

    type: str
    value: str
    outcome: str


class ExplainedEvent(msgspec.Struct, frozen=True):
    """An event and the explanation of it."""

    view: EventView
    explanation: Explanation
    carried: list[CarriedRow]
    warnings: list[str]


def explained_event(event: Event, *, clear: Clear) -> ExplainedEvent:
    """What there is to say about `event`, masked unless `clear`: six queries."""
    explanation = why(event)
    rows = Identifier.objects.filter(digest__in=[bytes.fromhex(used.digest) for used in explanation.identifiers])
    values = {bytes(row.digest).hex(): open_identifier(row.body).value for row in rows}
    personal = dict(IdentifierType.objects.values_list("code", "personal"))
    return ExplainedEvent(
        view=event_views(Event.objects.filter(pk=event.pk), clear=clear)[0],
        explanation=explanation,
        carried=[
            CarriedRow(
                type=used.type.replace("_", " ") + (f" · {used.namespace}" if used.namespace else ""),
                value=_shown(used.type, values.get(used.digest), personal=personal.get(used.type, False), clear=clear),
                outcome=USE_SENTENCES[Use[used.use.upper()]],
            )
            for used in explanation.identifiers
        ],
        warnings=open_body(event.body).warnings,
    )


def _shown(code: str, value: str | None, *, personal: bool, clear: Clear) -> str:
    """A value that never became an identifier is kept in the event itself, not as one."""
    if value is None:
        return "(not an identifier)"
    return shown_identifier(code, value, personal=personal, clear=clear)
