"""An event as 001, 002 and 003 write it in JSON, and the message that it becomes."""

import uuid
from typing import Any

import msgspec

from cdp.core.errors import Invalid
from cdp.events.vocabulary import TYPES, known_type
from cdp.rest.body import moment

_CALL_TYPES = {"track", "page", "screen", "identify"}


class EventBody(msgspec.Struct, rename="camel"):
    """One event. The person is named by customerId or profileId (any id of theirs), userId or anonymousId.

    What happened is `eventName` (or `event`), and `eventType` in the spelling of 001 or 003 (PAGE_VIEW, page_view; also
    as `type`). With a type alone, it is the name too.
    """

    customer_id: str | None = None
    profile_id: str | None = None
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    session_id: str | None = None
    device_id: str | None = None
    event_type: str | None = None
    event_name: str | None = None
    event_category: str | None = None
    event: str | None = None
    type: str | None = None
    name: str | None = None
    message_id: str | None = None
    timestamp: str | int | float | None = None
    properties: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    source: str | None = None
    device_type: str | None = None
    browser: str | None = None
    os: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    country: str | None = None
    region: str | None = None
    city: str | None = None

    @property
    def addressed(self) -> str | None:
        """The profile that it names directly."""
        return self.customer_id or self.profile_id

    def message(self) -> dict[str, Any]:
        """The message that `accept` takes. Raises Invalid with the path of what is missing or cannot be understood."""
        kind, name = self._kind_and_name()
        moment(self.timestamp, "timestamp")
        if self.addressed is None and self.user_id is None and self.anonymous_id is None:
            raise Invalid("Say whose event it is: customerId, profileId, userId or anonymousId.", code="missing_id")
        message = {
            "type": "track",
            "messageId": self.message_id,
            "profileId": profile_id(self.addressed),
            "userId": self.user_id,
            "anonymousId": self.anonymous_id,
            "event": name,
            "category": self.event_category,
            "timestamp": self.timestamp,
            "properties": self.properties,
            "context": self._context(kind),
        }
        return {key: value for key, value in message.items() if value is not None}

    def _kind_and_name(self) -> tuple[str | None, str]:
        stated = self.event_type or (self.type if self.type not in _CALL_TYPES else None)
        kind = known_type(stated) if stated else None
        name = self.event_name or self.event or self.name
        if self.event_type and kind is None:
            raise Invalid(
                f"{self.event_type[:40]!r} is no event type. Use one of: {', '.join(TYPES)}.",
                code="unknown_event_type",
                details={"path": "eventType"},
            )
        if not name:
            name = stated or ""
        if not name.strip():
            raise Invalid(
                "Say what happened: eventName, event or eventType.", code="missing_event", details={"path": "eventName"}
            )
        return kind, name

    def _context(self, kind: str | None) -> dict[str, Any] | None:
        """`context` with what 001 has beside it, at the places where the SDKs put it."""
        context = dict(self.context or {})
        _put(context, "sessionId", self.session_id)
        _put(context, "eventType", kind)
        _put(context, "ip", self.ip_address)
        _put(context, "userAgent", self.user_agent)
        _put(context, "source", self.source)
        _put(context, "metadata", self.metadata)
        _put_inside(context, "device", {"id": self.device_id, "type": self.device_type})
        _put_inside(context, "browser", {"name": self.browser})
        _put_inside(context, "os", {"name": self.os})
        _put_inside(context, "location", {"country": self.country, "region": self.region, "city": self.city})
        return context or None


def profile_id(text: str | None) -> str | None:
    """The canonical spelling of a profile's id, so that it is found; what is none stays as it is."""
    try:
        return None if text is None else str(uuid.UUID(text))
    except ValueError:
        return text


def _put(context: dict[str, Any], key: str, value: object) -> None:
    if value is not None:
        context[key] = value


def _put_inside(context: dict[str, Any], key: str, values: dict[str, str | None]) -> None:
    given = {name: value for name, value in values.items() if value is not None}
    if given:
        there = context.get(key)
        context[key] = {**(there if isinstance(there, dict) else {}), **given}
