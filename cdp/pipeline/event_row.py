"""The row of an event: of somebody, or of nobody when a rule of the gate redacts it."""

from typing import Any

from cdp.events.body import CarriedIdentifier, EventBody, seal_body
from cdp.events.sessions import SessionRow
from cdp.identities.decisions import Decision
from cdp.identities.resolve import Resolution
from cdp.lake.looks import kept_text, personal_number
from cdp.lake.measures.bases import NOBODY
from cdp.pipeline.message import CALLS
from cdp.pipeline.reading import Reading

KEPT_OF_NOBODY = frozenset({"revenue", "currency", "category", "product_id", "productId", "brand", "price", "quantity"})
"""Properties that a redacted event keeps: what was done with which product, nothing that says who did it."""


def event_row(reading: Reading, resolution: Resolution, session: SessionRow | None) -> tuple[Any, ...]:
    """A row of `cdp.events.rows.EVENTS`."""
    message = reading.message
    carried = [CarriedIdentifier(c.kind.code, c.digest, int(c.use), c.namespace) for c in reading.candidates]
    category = message.category if isinstance(message.category, str) else ""
    body = EventBody(
        message_id=reading.message_id,
        properties=_properties(reading),
        context=_kept_context(reading),
        identifiers=carried,
        warnings=reading.warnings,
        category=category,
        flags=reading.flags,
    )
    session_id = None if session is None else session.root().id
    return _row(reading, resolution.profile_id, session_id, resolution.decision, body)


def redacted_row(reading: Reading, purpose: str) -> tuple[Any, ...]:
    """The row of an event that is stored of nobody, because its person does not allow `purpose`.

    Without its messageId, identifiers, context and every property that is not known to be harmless.
    """
    message = reading.message
    said = message.properties or {} if message.type in ("track", "page", "screen") else {}
    properties = {key: value for key, value in said.items() if key in KEPT_OF_NOBODY and _harmless(key, value)}
    body = EventBody(
        message_id="",
        properties=properties,
        context={},
        identifiers=[],
        warnings=[f"redacted:{purpose}"],
        flags=reading.flags,
    )
    return _row(reading, NOBODY, None, Decision.REDACTED, body)


def _row(
    reading: Reading, profile_id: int, session_id: int | None, decision: Decision, body: EventBody
) -> tuple[Any, ...]:
    return (
        reading.digest,
        profile_id,
        reading.source.id,
        session_id,
        CALLS[reading.message.type],
        reading.type,
        reading.name,
        reading.ts,
        reading.received,
        int(decision),
        seal_body(body),
    )


def _harmless(key: str, value: object) -> bool:
    if isinstance(value, str):
        return kept_text(value, numbered=key in ("product_id", "productId")) == value
    return isinstance(value, bool) or (isinstance(value, int | float) and not personal_number(value))


def _properties(reading: Reading) -> dict[str, Any]:
    message = reading.message
    if message.type == "identify":
        return dict(reading.traits)
    if message.type == "group":
        return {"groupId": message.group_id, "traits": message.traits or {}}
    if message.type == "alias":
        return {"previousId": message.previous_id}
    return message.properties or {}


def _kept_context(reading: Reading) -> dict[str, Any]:
    """The context without its copy of the traits, which the trait document keeps, and without the signed token."""
    if _NOT_KEPT.isdisjoint(reading.context):
        return reading.context
    return {key: value for key, value in reading.context.items() if key not in _NOT_KEPT}


_NOT_KEPT = frozenset({"traits", "identityToken"})
