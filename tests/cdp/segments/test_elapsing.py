"""The law of time: when nothing happens, members at any later moment are those of a full computation at it."""

import uuid
from typing import Any

from django.conf import settings as installation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from cdp.consents.ledger import ConsentStatement
from cdp.core.clock import DAY, HOUR, MINUTE, iso, now_us
from cdp.history.export import flush
from cdp.history.tail import forget_tail
from cdp.identities.lookup import find_person
from cdp.pipeline import ahead
from cdp.pipeline.ahead import Arrivals, touch_arrived
from cdp.pipeline.expiry import describe_expired
from cdp.pipeline.lease import forget_lease
from cdp.pipeline.state_consent import state_consents
from cdp.pipeline.write_traits import TraitWrite, set_traits
from cdp.segments.evaluate import evaluate
from cdp.segments.follow import follow
from cdp.segments.models import Segment
from tests.cdp.segments.making import a_rule, members
from tests.sending import message, send

PEOPLE = 3
RULES: dict[str, dict[str, Any]] = {
    "pros": {"trait": "plan", "operator": "=", "value": "pro"},
    "without-plan": {"trait": "plan", "operator": "not_exists"},
    "named": {"trait": "firstName", "operator": "exists"},
    "buyers": {"event": "purchase"},
    "never-bought": {"event": "purchase", "operator": "=", "value": 0},
    "lately": {"event": "purchase", "within": "2h"},
    "returned": {"sequence": [{"event": "purchase"}, {"event": "login", "after": "1h"}]},
    "gone": {"sequence": [{"event": "purchase"}, {"event": "login", "negate": True, "after": "1h"}]},
    "willing": {"consent": "MARKETING_EMAIL"},
    "often": {"computed": "eventCount", "operator": ">=", "value": 3},
    "others": {"segment": "buyers", "member": False},
}
who = st.integers(0, PEOPLE - 1)
span = st.sampled_from([-3 * HOUR, -MINUTE, MINUTE, HOUR, 3 * HOUR, 2 * DAY])
THING = st.one_of(
    st.tuples(st.just("event"), who, span, st.sampled_from(["Order Completed", "Signed In"])),
    st.tuples(st.just("trait"), who, span, st.sampled_from(["plan", "firstName"])),
    st.tuples(st.just("consent"), who, span),
    st.tuples(st.just("flush")),
)
ELAPSED = st.sampled_from([6 * MINUTE, HOUR, 4 * HOUR, 3 * DAY])


def perform(thing: tuple[Any, ...]) -> None:
    """One thing with a time of its own, before or after now."""
    if thing[0] == "flush":
        flush()
        return
    kind, number, at, *more = thing
    when = now_us() + at
    if kind == "event":
        send(message(event=more[0], userId=f"user-{number}", timestamp=iso(when)))
        return
    one = find_person("user_id", f"user-{number}")
    assert one is not None
    if at < 0:
        return
    from cdp.access.source import source_named

    if kind == "trait":
        value = "pro" if more[0] == "plan" else "Alice"
        set_traits(one.public_id, [TraitWrite(more[0], value, expires_at=when)], source=source_named("shop"))
    else:
        statement = ConsentStatement(granted=True, at=now_us(), source="test", expires_at=when)
        state_consents(str(one.public_id), ["MARKETING_EMAIL"], statement, actor="test")


def elapse(now: int) -> None:
    """What the worker does by itself, at that moment."""
    flush(now=now)
    describe_expired(now)
    touch_arrived(now)
    follow(now=now)


class TestElapsing(TestCase):
    """Eleven segments, three people, events that lie ahead and values that run out."""

    @given(st.lists(THING, min_size=1, max_size=6), st.lists(ELAPSED, min_size=1, max_size=3), st.booleans())
    @example([("event", 0, HOUR, "Order Completed")], [4 * HOUR], False)
    @example([("trait", 0, MINUTE, "plan")], [6 * MINUTE], False)
    @example([("trait", 1, HOUR, "firstName"), ("flush",)], [4 * HOUR], True)
    @example([("consent", 2, HOUR)], [6 * MINUTE, 4 * HOUR], True)
    @settings(max_examples=12, deadline=None)
    def test_following_later_is_computing_later(self, things: Any, elapsed: list[int], first: bool) -> None:
        installation.LAKE_URL = str(installation.DATA_DIR / "lakes" / uuid.uuid4().hex)
        forget_tail()
        forget_lease()
        ahead._arrivals = Arrivals()
        for key, rule in RULES.items():
            a_rule(key, rule)
        send(*(message("identify", userId=f"user-{number}", traits={"city": "Kaunas"}) for number in range(PEOPLE)))
        for thing in things:
            perform(thing)
            if first:
                follow()
        follow()
        now = now_us()
        for after in elapsed:
            now += after
            elapse(now)
            segments = list(Segment.objects.order_by("pk"))
            anew = evaluate(segments, now=now)
            assert anew.errors == {}
            for segment in segments:
                assert members(segment) == anew.members[segment.pk].tolist(), segment.key
