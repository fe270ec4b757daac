"""From acknowledged messages to profiles, events, traits and sessions, on a real store."""

import threading
from collections import defaultdict
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.access.models import Source
from cdp.access.source import SourceRef, source_named
from cdp.consents.models import ConsentRecord, GateRule
from cdp.core import json
from cdp.core.bulk import Database
from cdp.core.clock import DAY, MINUTE, now_us, parse_time
from cdp.core.ids import uuid7
from cdp.events.body import open_body
from cdp.events.explain import why
from cdp.events.models import Event, QuarantinedMessage, Session
from cdp.identities.lookup import find_person, identifiers_of
from cdp.identities.models import Identifier
from cdp.pipeline.accept import accept
from cdp.pipeline.lease import database, ground, pass_fence, release_lease, take_lease
from cdp.pipeline.models import Counter, InboxMessage
from cdp.pipeline.process import process_batch, process_inbox
from cdp.profiles.models import Merge, Profile
from cdp.traits.golden import golden
from tests.factories import suppress
from tests.sending import deliver, deliver_by_door, message, preferring, send

pytestmark = pytest.mark.django_db

NOON = "2026-05-01T12:00:00.000Z"
NOON_US = parse_time(NOON) or 0


def at(minutes: float) -> str:
    whole = NOON_US + int(minutes * MINUTE)
    from cdp.core.clock import iso

    return iso(whole)


def browser() -> SourceRef:
    row, _ = Source.objects.get_or_create(name="site", kind="browser")
    return SourceRef.of(row)


def test_an_anonymous_visitor_becomes_a_known_customer():
    send(
        message("page", anonymousId="an-1", name="Home", timestamp=at(0)),
        message("identify", anonymousId="an-1", userId=7, traits={"email": "Ada@Example.com", "firstName": "Ada"}),
        message(event="Order Completed", userId="7", properties={"revenue": "19.90", "currency": "usd"}),
    )
    person = find_person("email", "ada@example.COM")
    assert person is not None
    assert person == find_person("user_id", "7") == find_person("anonymous_id", "an-1")
    assert (person.event_count, person.purchase_count, person.revenue) == (3, 1, '{"USD":199000}')
    record = golden(person.pk).values
    assert {key: value.value for key, value in record.items()} == {"email": "Ada@Example.com", "firstName": "Ada"}
    assert [(i.type, i.value) for i in identifiers_of(person.pk)] == [
        ("user_id", "7"),
        ("email", "ada@example.com"),
        ("anonymous_id", "an-1"),
    ]
    assert list(Event.objects.order_by("id").values_list("type", "name")) == [
        ("PAGE_VIEW", "Home"),
        ("PROFILE_UPDATE", "identify"),
        ("PURCHASE", "Order Completed"),
    ]
    assert InboxMessage.objects.count() == 0


def test_a_repeat_counts_once():
    first = message(userId="1")
    deliver(first, first)
    send(first)
    assert Event.objects.count() == 1
    assert dict(Counter.objects.values_list("outcome", "count")) == {"accepted": 1, "duplicate": 2, "processed": 1}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"timestamp": at(0), "sentAt": at(10)}, NOON_US + 50 * MINUTE),
        ({"timestamp": at(0)}, NOON_US),
        ({"originalTimestamp": at(0), "timestamp": at(5), "sentAt": at(0)}, NOON_US + 60 * MINUTE),
        ({}, NOON_US + 60 * MINUTE),
        ({"timestamp": "yesterday", "sentAt": at(0)}, NOON_US + 60 * MINUTE),
        ({"timestamp": at(60 * 24 * 2), "sentAt": at(0)}, NOON_US + 60 * MINUTE),
    ],
)
def test_clock_skew_is_corrected(fields: dict[str, Any], expected: int):
    [digest] = send(message(userId="1", **fields), received=NOON_US + 60 * MINUTE)
    assert Event.objects.get(digest=digest).ts == expected


def test_what_has_no_usable_identifier_waits_in_quarantine_and_harms_no_neighbour():
    send(message(userId="null"), message(anonymousId="00000000-0000"), message(userId="ok"))
    assert list(QuarantinedMessage.objects.values_list("stage", "code")) == [("processing", "no_usable_identifier")] * 2
    assert Event.objects.count() == 1


def test_a_message_that_breaks_the_batch_is_found_and_the_others_go_through(monkeypatch: pytest.MonkeyPatch):
    from cdp.pipeline import placing

    original = placing.is_activity

    def breaks(reading: Any) -> bool:
        if reading.name == "Poison":
            raise ValueError("poison")
        return original(reading)

    monkeypatch.setattr(placing, "is_activity", breaks)
    messages = [message(userId=f"p{n}") for n in range(20)]
    messages.insert(13, message(userId="x", event="Poison"))
    send(*messages)
    assert Event.objects.count() == 20
    assert list(QuarantinedMessage.objects.values_list("code", flat=True)) == ["processing_failed"]
    assert find_person("user_id", "x") is None


def test_sessions_split_at_half_an_hour_and_late_events_bridge_them():
    visitor = {"anonymousId": "v"}
    send(
        message("page", **visitor, timestamp=at(0), context={"page": {"path": "/a"}, "campaign": {"source": "ads"}}),
        message("page", **visitor, timestamp=at(10)),
    )
    send(message("page", **visitor, timestamp=at(60)))
    assert list(Session.objects.order_by("started").values_list("event_count", flat=True)) == [2, 1]
    send(message("page", **visitor, timestamp=at(-5), context={"page": {"path": "/before"}}))
    send(message("page", **visitor, timestamp=at(35)))
    [session] = Session.objects.all()
    assert (session.started, session.last, session.event_count) == (NOON_US - 5 * MINUTE, NOON_US + 60 * MINUTE, 5)
    assert session.entry == '{"path":"/before"}'
    assert set(Event.objects.values_list("session_id", flat=True)) == {session.pk}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=30), st.integers(1, 7), st.integers())
def test_sessions_are_those_of_the_sorted_events_in_whatever_order_they_come(
    minutes: list[int], size: int, salt: int
) -> None:
    visitor = f"v{now_us()}-{salt}"
    messages = [message("page", anonymousId=visitor, timestamp=at(m)) for m in minutes]
    for start in range(0, len(messages), size):
        send(*messages[start : start + size])
    expected: list[list[int]] = []
    for minute in sorted(minutes):
        if expected and minute - expected[-1][1] <= 30:
            expected[-1][1] = minute
            expected[-1][2] += 1
        else:
            expected.append([minute, minute, 1])
    profile = find_person("anonymous_id", visitor)
    found = Session.objects.filter(profile=profile).order_by("started")
    assert [((s.started - NOON_US) // MINUTE, (s.last - NOON_US) // MINUTE, s.event_count) for s in found] == [
        tuple(one) for one in expected
    ]


def test_a_session_that_the_client_names_holds_its_events():
    for minute in (0, 100, 50):
        send(message(anonymousId="v", timestamp=at(minute), context={"sessionId": 1712}))
    [session] = Session.objects.all()
    assert (session.started, session.last, session.event_count) == (NOON_US, NOON_US + 100 * MINUTE, 3)


def test_what_a_server_sends_without_a_visitor_belongs_to_no_session():
    send(message(userId="1"))
    assert Event.objects.get().session_id is None


def test_an_email_from_a_browser_is_stored_and_finds_nobody():
    send(message("identify", userId="u1", traits={"email": "a@b.example"}), source=browser())
    assert list(Identifier.objects.filter(type__code="email").values_list("linking", "trusted")) == [(False, False)]
    send(message("identify", userId="u2", traits={"email": "a@b.example"}))
    assert find_person("email", "a@b.example") == find_person("user_id", "u2")
    assert Profile.objects.count() == 2
    send(message("identify", userId="u1"))
    assert list(Identifier.objects.filter(type__code="user_id").values_list("trusted", flat=True)) == [True, True]


def test_a_browser_may_not_address_a_profile():
    send(message(userId="1"))
    public_id = str(Profile.objects.get().public_id)
    [outcome] = accept([json.encode(message(anonymousId="2", profileId=public_id))], source=browser(), received=1)
    assert (outcome.status, outcome.code) == ("rejected", "profile_id_not_allowed")
    send(message(profileId=public_id))
    assert Profile.objects.get(public_id=public_id).event_count == 2


def test_a_message_for_a_profile_that_is_not_there_is_quarantined():
    send(message(profileId="01890000-0000-7000-8000-000000000000"), message(profileId=str(uuid7()), userId="1"))
    assert list(QuarantinedMessage.objects.values_list("code", flat=True)) == ["unknown_profile"] * 2


def test_why_is_answered_for_every_event():
    send(message("identify", userId="a", anonymousId="x"))
    [digest] = send(message(userId="b", anonymousId="x", traits=None, context={"traits": {"email": "null"}}))
    told = why(Event.objects.get(digest=digest))
    assert (told.decision, [(one.type, one.use) for one in told.identifiers]) == (
        "demoted_created",
        [("user_id", "added"), ("anonymous_id", "over_limit"), ("email", "blocked")],
    )
    assert told.log == ["create: rule 4", "demote: over_limit"]


def test_merged_people_get_the_more_restrictive_consent():
    send(message(anonymousId="x"), message(userId="u"))
    anonymous, user = find_person("anonymous_id", "x"), find_person("user_id", "u")
    assert anonymous
    assert user
    for person, granted in ((anonymous, True), (user, False)):
        ConsentRecord.objects.create(profile=person, type="MARKETING_EMAIL", granted=granted, at=1)
    send(message(userId="u", anonymousId="x"))
    merge = Merge.objects.get()
    rows = ConsentRecord.objects.filter(cause="merge").values_list("profile_id", "type", "granted", "merge")
    assert list(rows) == [(anonymous.pk, "MARKETING_EMAIL", False, merge.public_id)]


def test_personal_values_are_nowhere_in_clear():
    secrets = ["ada.lovelace@example.com", "Lovelace", "+37060012345", "Baker Street"]
    send(
        message(
            "identify",
            userId="u",
            traits={
                "email": secrets[0],
                "lastName": secrets[1],
                "phone": secrets[2],
                "address": {"street": secrets[3]},
            },
        ),
        message(userId="u", properties={"email": secrets[0], "who": secrets[1]}),
        message(userId="none", context={"traits": {"email": secrets[0]}}),
    )
    deliver(message(userId="u", properties={"email": secrets[0]}))
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'select * from "{table}"')
            for row in cursor.fetchall():
                for value in row:
                    held = bytes(value) if isinstance(value, memoryview | bytes) else str(value).encode()
                    assert not any(secret.encode() in held for secret in secrets), table


def statements_of_a_batch(monkeypatch: pytest.MonkeyPatch, messages: list[dict[str, Any]]) -> int:
    deliver_by_door(*messages)
    counted: list[Database] = []
    from cdp.pipeline import process

    def counting() -> Database:
        counted.append(database())
        return counted[-1]

    with monkeypatch.context() as patch:
        patch.setattr(process, "database", counting)
        patch.setattr(process, "_BESIDE_DOOR", 2000)  # the door is quiet
        assert process_batch() == len(messages)
    return sum(db.queries for db in counted)


def busy_traffic(count: int, round_: int) -> list[dict[str, Any]]:
    """Every kind of work that a batch can have: merges, demotions, bridged sessions, traits, purchases, failures, and

    what the gate stops: withdrawals, events of nobody, somebody who was erased.
    """
    messages = []
    for n in range(count):
        visitor = f"v{n}"
        messages += [
            message("page", anonymousId=visitor, timestamp=at(round_ * 50), context=preferring(profiling=round_ != 1)),
            message("identify", userId=f"u{n}", anonymousId=f"w{n}-{round_}", traits={"email": f"{n}@x.example"}),
            message(userId=f"u{n}", anonymousId=visitor if round_ == 2 else f"z{n}-{round_}"),
            message(anonymousId=visitor, timestamp=at(round_ * 50 - 25), context={"sessionId": f"s{n}"}),
            message("page", anonymousId=visitor, timestamp=at(round_ * 50 - 25)),
            message(userId=f"u{n}", anonymousId=f"w{n + 1}-{round_}"),
            message(userId="null"),
            message(event="Order Completed", userId=f"u{n}", properties={"revenue": 5}),
            message(userId=f"out-{n}", event="Personal"),
            message(userId=f"out-{n}", context=preferring(DATA_PROCESSING=bool(round_))),
            message(userId="erased"),
        ]
    return messages


def test_a_micro_batch_is_a_constant_number_of_queries(monkeypatch: pytest.MonkeyPatch):
    GateRule.objects.create(purpose_id="PERSONALIZATION", names=["Personal"], action="redact")
    suppress("user_id", "erased")
    for round_ in range(2):
        statements_of_a_batch(monkeypatch, busy_traffic(40, round_))
    ConsentRecord.objects.bulk_create(
        ConsentRecord(profile=profile, type="PROFILING", granted=profile.pk % 2 == 0, at=1)
        for profile in Profile.objects.all()
    )
    few = statements_of_a_batch(monkeypatch, busy_traffic(5, 2))
    many = statements_of_a_batch(monkeypatch, busy_traffic(40, 2)[40:])
    assert Merge.objects.count() >= 40
    stopped = Counter.objects.filter(outcome__in=["consent:DATA_PROCESSING", "redacted:PERSONALIZATION", "suppressed"])
    assert dict(stopped.values_list("outcome", "count")) == {
        "consent:DATA_PROCESSING": 80,
        "redacted:PERSONALIZATION": 82,
        "suppressed": 122,
    }
    assert few == many <= 25


def test_a_worker_without_the_lease_takes_nothing_and_the_next_one_goes_on():
    deliver(message(userId="1"))
    assert take_lease(database(), holder="another")
    assert process_batch() == 0
    release_lease(database(), holder="another")
    assert process_inbox() == 1


def test_a_plan_that_another_writer_overtook_is_made_again(monkeypatch: pytest.MonkeyPatch):
    from cdp.pipeline import process

    deliver(message(userId="1"))
    original = process.ground
    overtaken = []

    def overtakes(db: Database) -> Any:
        base = original(db)
        if not overtaken:
            overtaken.append(base)
            pass_fence(db, base.fence)
        return base

    monkeypatch.setattr(process, "ground", overtakes)
    assert process_batch() == 1
    assert Event.objects.count() == 1
    assert ground(database()).fence == overtaken[0].fence + 2


def partition() -> set[frozenset[str]]:
    groups: dict[int, set[str]] = defaultdict(set)
    for person in Profile.objects.values_list("person_id", flat=True).distinct():
        for view in identifiers_of(person):
            groups[person].add(f"{view.type}:{view.value}")
    return {frozenset(group) for group in groups.values()}


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_four_workers_give_what_one_gives(monkeypatch: pytest.MonkeyPatch, settings: Any):
    settings.MICRO_BATCH = 7
    messages = [m for round_ in range(3) for m in busy_traffic(6, round_)]
    stamped = [{**m, "timestamp": m.get("timestamp", at(n))} for n, m in enumerate(messages)]
    deliver(*stamped, received=NOON_US + DAY)
    process_inbox()
    alone = partition(), sorted(Event.objects.values_list("digest", "name", "ts", "decision"))
    for model in (Event, Session, Identifier, Merge, Profile, QuarantinedMessage):
        model.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("delete from pipeline_seenmessage")
        cursor.execute("delete from traits_traitdocument")
    deliver(*stamped, received=NOON_US + DAY)
    failures: list[BaseException] = []

    def work(n: int) -> None:
        try:
            while InboxMessage.objects.exists():
                process_inbox(holder=f"worker {n}")
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (partition(), sorted(Event.objects.values_list("digest", "name", "ts", "decision"))) == alone


def test_the_event_keeps_what_was_sent():
    [digest] = send(message(userId="1", properties={"a": [1, {"b": None}]}, context={"page": {"url": "https://x/y"}}))
    body = open_body(Event.objects.get(digest=digest).body)
    assert body.properties == {"a": [1, {"b": None}]}
    assert body.context == {"page": {"url": "https://x/y"}}


def test_a_source_that_was_deleted_leaves_its_messages_in_quarantine():
    source = source_named("gone")
    deliver(message(userId="1"), source=source)
    Source.objects.filter(pk=source.id).delete()
    process_inbox()
    assert list(QuarantinedMessage.objects.values_list("code", flat=True)) == ["source_deleted"]
