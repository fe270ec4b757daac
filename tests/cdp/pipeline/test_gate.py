"""Consent and suppression at ingestion, from the message to the rows, on a real store."""

from typing import Any

import msgspec
import pytest

from cdp.access.models import Source
from cdp.access.source import SourceRef
from cdp.consents.ledger import open_consent, record_consent
from cdp.consents.models import ConsentRecord, GateRule
from cdp.consents.state import consents_of
from cdp.core.clock import SECOND, iso, now_us
from cdp.events.body import open_body
from cdp.events.models import Event, Session
from cdp.identities.lookup import find_person
from cdp.identities.models import Identifier, IdentityLog, SuppressedIdentifier
from cdp.pipeline.accept import accept
from cdp.pipeline.message import PRIVACY_CONTROL
from cdp.pipeline.models import Counter, InboxMessage, SeenMessage
from cdp.pipeline.process import process_inbox
from cdp.profiles.models import Merge, Profile
from cdp.profiles.people import fragment_ids
from cdp.traits.models import TraitDocument
from tests.factories import suppress
from tests.sending import message, preferring, send

pytestmark = pytest.mark.django_db


def browser() -> SourceRef:
    return SourceRef.of(Source.objects.get_or_create(name="site", kind="browser")[0])


def stated(person: Profile, purpose: str, *, granted: bool, at: int = 1, expires_at: int | None = None) -> None:
    record_consent(person.pk, purpose, granted=granted, at=at, expires_at=expires_at, source="test")


def found(kind: str, value: str) -> Profile:
    person = find_person(kind, value)
    assert person is not None
    return person


def known(kind: str, value: str) -> dict[str, bool]:
    states = consents_of(fragment_ids(found(kind, value).pk), now=now_us())
    return {state.type: state.granted for state in states}


def outcomes() -> dict[str, int]:
    return dict(Counter.objects.values_list("outcome", "count"))


def names() -> list[str]:
    return list(Event.objects.order_by("ts", "id").values_list("name", flat=True))


def test_nothing_is_stored_of_somebody_who_withdrew_processing():
    send(message(userId="u", event="Before"))
    stated(found("user_id", "u"), "DATA_PROCESSING", granted=False)
    send(
        message(userId="u", event="After"),
        message("identify", userId="u", anonymousId="new", traits={"email": "u@x.example"}),
        message(userId="other", event="Other"),
    )
    assert names() == ["Before", "Other"]
    assert find_person("anonymous_id", "new") is None
    assert TraitDocument.objects.count() == 0
    assert InboxMessage.objects.count() == 0
    assert SeenMessage.objects.count() == 4
    assert outcomes() == {"accepted": 4, "processed": 2, "consent:DATA_PROCESSING": 2}
    assert Profile.objects.get(pk=found("user_id", "u").pk).event_count == 1


def test_who_withdrew_tracking_is_not_followed_in_the_browser_but_may_still_order():
    send(message("page", anonymousId="v"), source=browser())
    send(message("identify", userId="u", anonymousId="v"))
    stated(found("user_id", "u"), "ANALYTICS_TRACKING", granted=False)
    send(message("page", anonymousId="v", name="Page"), source=browser())
    send(message("identify", anonymousId="v"), source=browser())
    send(message(userId="u", event="Order Completed", properties={"revenue": 5}))
    assert names() == ["page", "identify", "identify", "Order Completed"]
    assert Session.objects.get().event_count == 1
    assert outcomes()["consent:ANALYTICS_TRACKING"] == 1


def test_a_later_grant_opens_the_gate_again():
    send(message(userId="u"))
    stated(found("user_id", "u"), "DATA_PROCESSING", granted=False, at=1)
    send(message(userId="u", event="Stopped"))
    stated(found("user_id", "u"), "DATA_PROCESSING", granted=True, at=2)
    send(message(userId="u", event="Let through"))
    assert names() == ["Tested", "Let through"]


def redacting(purpose: str = "ANALYTICS_TRACKING", **fields: Any) -> None:
    GateRule.objects.filter(purpose_id=purpose).delete()
    GateRule.objects.create(purpose_id=purpose, action="redact", **fields)


def test_a_redacted_event_is_of_nobody_and_says_nothing_personal():
    redacting(calls=["track"], source_kind="browser")
    send(message("page", anonymousId="v"), source=browser())
    stated(found("anonymous_id", "v"), "ANALYTICS_TRACKING", granted=False)
    properties = {
        "revenue": 5,
        "currency": "EUR",
        "category": "Books",
        "brand": "ada@x.example",
        "name": "Ada",
        "note": "x",
        "product_id": "p-1",
        "quantity": [1],
    }
    [digest] = send(
        message(
            anonymousId="v",
            userId="new",
            event="Order Completed",
            properties=properties,
            context={"ip": "203.0.113.9", "sessionId": "s", "device": {"id": "d"}},
        ),
        source=browser(),
    )
    event = Event.objects.get(digest=digest)
    body = open_body(event.body)
    assert (event.profile_id, event.session_id, event.name, event.type) == (0, None, "Order Completed", "PURCHASE")
    assert body.properties == {"revenue": 5, "currency": "EUR", "category": "Books", "product_id": "p-1"}
    assert (body.message_id, body.context, body.identifiers, body.warnings) == (
        "",
        {},
        [],
        ["redacted:ANALYTICS_TRACKING"],
    )
    assert find_person("user_id", "new") is None
    assert (Profile.objects.get().event_count, Profile.objects.get().purchase_count) == (1, 0)
    assert Session.objects.count() == 1
    assert outcomes() == {"accepted": 2, "processed": 1, "redacted:ANALYTICS_TRACKING": 1}


def test_a_rule_that_drops_decides_before_one_that_redacts():
    GateRule.objects.all().delete()
    GateRule.objects.create(purpose_id="PROFILING", action="redact")
    GateRule.objects.create(purpose_id="PERSONALIZATION", action="drop", names=["Special"])
    GateRule.objects.create(purpose_id="MARKETING_SMS", action="drop", active=False)
    send(message(userId="u", event="Special"), message(userId="u", event="Usual"))
    assert outcomes() == {"accepted": 2, "consent:PERSONALIZATION": 1, "redacted:PROFILING": 1}
    assert names() == ["Usual"]
    assert Profile.objects.count() == Identifier.objects.count() == 0


def test_an_event_is_judged_by_the_consent_that_it_carries_itself():
    off, on = preferring(data_processing=False), preferring(**{"Data Processing": True})
    send(
        message(userId="u", event="1"),
        message(userId="u", event="2", context=off),
        message(userId="u", event="3"),
        message(userId="u", event="4", context=on),
        message(userId="u", event="5"),
        message(userId="u", event="6", context=on),
    )
    assert names() == ["1", "4", "5", "6"]
    rows = ConsentRecord.objects.order_by("id").values_list("type", "granted", "cause", "source")
    assert list(rows) == [
        ("DATA_PROCESSING", False, "preferences", "shop"),
        ("DATA_PROCESSING", True, "preferences", "shop"),
    ]
    assert outcomes() == {"accepted": 6, "processed": 4, "consent:DATA_PROCESSING": 2}


def test_who_withdraws_at_first_sight_is_known_by_every_name_that_was_given_and_nothing_else_is_stored():
    off = preferring(DATA_PROCESSING=False)
    [digest] = send(
        message("identify", userId="u", anonymousId="v", traits={"plan": "pro"}, context={**off, "ip": "203.0.113.9"})
    )
    send(message(userId="u"), message(anonymousId="v"))
    assert Event.objects.count() == TraitDocument.objects.count() == Session.objects.count() == 0
    person = Profile.objects.get()
    assert (person.event_count, person.touched, person.described) == (0, person.described, person.touched)
    row = ConsentRecord.objects.get()
    assert row.event is not None
    assert (row.profile_id, row.granted, row.cause, bytes(row.event)) == (person.pk, False, "preferences", digest)
    assert open_consent(row.body).ip == "203.0.113.0"
    assert outcomes() == {"accepted": 3, "consent:DATA_PROCESSING": 3}


def test_a_group_speaks_for_its_purposes_and_the_more_exact_word_decides():
    send(
        message(
            userId="u",
            context=preferring(Marketing=True, MARKETING_SMS=False, nonsense=True, analytics="yes", profiling=None),
        )
    )
    assert known("user_id", "u") == {"MARKETING_EMAIL": True, "MARKETING_SMS": False, "MARKETING_PUSH": True}
    assert outcomes() == {"accepted": 1, "processed": 1, "warning:unknown_consent_category": 1}


def test_global_privacy_control_withdraws_sharing_and_nothing_that_we_do_ourselves():
    raw = [
        message("page", anonymousId="v", context=preferring(THIRD_PARTY_SHARING=True)),
        message("page", anonymousId="v"),
    ]
    accept([msgspec.json.encode(one) for one in raw], source=browser(), received=now_us(), flags=PRIVACY_CONTROL)
    process_inbox()
    assert Event.objects.count() == 2
    rows = ConsentRecord.objects.values_list("type", "granted", "cause")
    assert list(rows) == [("THIRD_PARTY_SHARING", False, "gpc")]


def test_a_browser_may_withdraw_for_its_person_but_not_grant_for_another():
    send(message(userId="victim"))
    send(message("page", anonymousId="x"), source=browser())
    person = found("user_id", "victim")
    stated(person, "MARKETING_EMAIL", granted=False)
    on = preferring(MARKETING_EMAIL=True, PROFILING=True)
    send(message("page", anonymousId="x", userId="victim", context=on), source=browser())
    assert find_person("anonymous_id", "x") == person
    assert known("user_id", "victim") == {"MARKETING_EMAIL": False, "PROFILING": True}
    send(message("page", anonymousId="y", userId="victim", context=on), source=browser())
    assert known("user_id", "victim") == {"MARKETING_EMAIL": False, "PROFILING": True}
    assert outcomes()["warning:consent_grant_ignored"] == 2
    send(message("page", anonymousId="x", userId="victim", context=preferring(PROFILING=False)), source=browser())
    assert known("user_id", "victim")["PROFILING"] is False
    send(message("page", anonymousId="x", userId="victim", context=on), source=browser())
    assert known("user_id", "victim") == {"MARKETING_EMAIL": False, "PROFILING": True}


def test_an_old_event_does_not_undo_what_was_said_since():
    now = now_us()
    send(message(userId="u"))
    stated(found("user_id", "u"), "PROFILING", granted=False, at=now - 10 * SECOND)
    send(message(userId="u", timestamp=iso(now - 60 * SECOND), context=preferring(PROFILING=True)))
    assert known("user_id", "u") == {"PROFILING": False}


def test_people_who_would_be_joined_count_as_the_more_restrictive_of_them():
    send(message(userId="u"), message(anonymousId="a"))
    stated(found("user_id", "u"), "DATA_PROCESSING", granted=False)
    stated(found("anonymous_id", "a"), "DATA_PROCESSING", granted=True, at=2)
    send(message("identify", userId="u", anonymousId="a"), message(anonymousId="a", event="Own"))
    assert Merge.objects.count() == 0
    assert names() == ["Tested", "Tested", "Own"]
    on = preferring(DATA_PROCESSING=True)
    send(message("identify", userId="u", anonymousId="a", context=on), message(userId="u", event="Allowed"))
    assert names()[3:] == ["identify", "Allowed"]
    assert known("user_id", "u") == {"DATA_PROCESSING": True}
    assert list(ConsentRecord.objects.order_by("id").values_list("granted", "cause"))[2:] == [
        (False, "merge"),
        (True, "preferences"),
    ]


@pytest.mark.parametrize("together", [True, False])
def test_a_merge_restricts_what_follows_it_in_the_same_batch_too(together: bool):
    redacting("PERSONALIZATION", names=["Personal"])
    send(message("identify", userId="u"), message("identify", anonymousId="a"))
    stated(found("user_id", "u"), "PERSONALIZATION", granted=True, at=5)
    stated(found("anonymous_id", "a"), "PERSONALIZATION", granted=False, at=4)
    messages = [
        message(userId="u", event="Personal"),
        message("identify", userId="u", anonymousId="a"),
        message(userId="u", event="Personal"),
    ]
    for some in [messages] if together else [[one] for one in messages]:
        send(*some)
    assert Merge.objects.count() == 1
    assert outcomes() == {"accepted": 5, "processed": 4, "redacted:PERSONALIZATION": 1}
    assert ConsentRecord.objects.get(cause="merge").profile_id == found("user_id", "u").pk


@pytest.mark.parametrize(
    ("code", "value", "fields"),
    [
        ("user_id", "u-1", {"userId": "u-1"}),
        ("email", "ada@x.example", {"userId": "other", "context": {"traits": {"email": "Ada@X.example"}}}),
        ("phone", "+37060012345", {"anonymousId": "v", "context": {"traits": {"phone": "+370 600 12345"}}}),
        ("crm", "7", {"anonymousId": "v", "context": {"externalIds": [{"type": "crm", "id": 7}]}}),
        ("user_id", "u-1", {"type_": "alias", "userId": "u-2", "previousId": "u-1"}),
    ],
)
def test_what_carries_an_identifier_of_an_erased_person_leaves_no_trace(code: str, value: str, fields: dict[str, Any]):
    row = suppress(code, value)
    send(message(**fields), message(userId="neighbour"))
    assert names() == ["Tested"]
    assert Profile.objects.count() == Identifier.objects.filter(type__code="user_id").count() == 1
    assert IdentityLog.objects.count() == 1
    assert outcomes() == {"accepted": 2, "processed": 1, "suppressed": 1}
    SuppressedIdentifier.objects.filter(pk=row.pk).update(lifted_at=2)
    send(message(**fields))
    assert Event.objects.count() == 2


def test_devices_and_cookies_of_erased_people_are_others_too():
    suppress("anonymous_id", "v")
    send(message(anonymousId="v"))
    assert outcomes() == {"accepted": 1, "processed": 1}


def test_a_suppressed_message_does_not_even_wait_in_quarantine():
    suppress("email", "ada@x.example")
    send(message(userId="null", context={"traits": {"email": "ada@x.example"}}))
    assert outcomes() == {"accepted": 1, "suppressed": 1}
