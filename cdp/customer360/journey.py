"""The milestones of a person: when they first did what matters."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cdp.access.reading import rows_in
from cdp.core.clock import iso
from cdp.customer360.event_view import event_id
from cdp.events.models import Event


class JourneyStep(msgspec.Struct, frozen=True, rename="camel"):
    """One milestone and the event that was it."""

    step: str
    step_name: str
    event_id: str
    event_type: str
    event_name: str
    occurred_at: str


_FIRST_TWO = """
    select type, nth, call, digest, name, ts from (
        select e.id, e.type, e.call, e.digest, e.name, e.ts,
               row_number() over (partition by e.type, e.call order by e.ts, e.id) as nth
        from events_event e where e.profile_id in {in}
    ) ranked
    where nth <= 2 order by ts, id"""
# step, its name, the event type that is it (None: by call), and which one of that type
_MILESTONES = (
    ("first_login", "First sign-in", "LOGIN", 1),
    ("first_search", "First search", "SEARCH", 1),
    ("first_product_view", "First product viewed", "PRODUCT_VIEW", 1),
    ("first_add_to_cart", "First product in the cart", "ADD_TO_CART", 1),
    ("first_email_open", "First e-mail opened", "EMAIL_OPEN", 1),
    ("first_quote_request", "First quote requested", "QUOTE_REQUEST", 1),
    ("first_purchase", "First purchase", "PURCHASE", 1),
    ("repeat_purchase", "Second purchase", "PURCHASE", 2),
    ("first_claim", "First claim", "CLAIM_SUBMIT", 1),
)


def journey_of(fragments: Sequence[int]) -> list[JourneyStep]:
    """The milestones of the person with the profiles `fragments`, in the order of time: one query.

    Only hot events are looked at.
    """
    rows = rows_in(_FIRST_TWO, fragments)
    return [_step(*found) for found in sorted(_found(rows), key=lambda found: found[2][5])]


def _found(rows: list[tuple[Any, ...]]) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    if rows:
        yield "first_seen", "First seen", rows[0]
    identified = next((row for row in rows if row[2] == Event.Call.IDENTIFY), None)
    if identified:
        yield "identified", "Identified", identified
    by_type = {row[:2]: row for row in reversed(rows)}
    for step, name, kind, nth in _MILESTONES:
        if (kind, nth) in by_type:
            yield step, name, by_type[kind, nth]


def _step(step: str, name: str, row: tuple[Any, ...]) -> JourneyStep:
    kind, _, _, digest, event_name, ts = row
    return JourneyStep(
        step=step,
        step_name=name,
        event_id=event_id(digest),
        event_type=kind,
        event_name=event_name,
        occurred_at=iso(ts),
    )
