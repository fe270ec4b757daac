"""Dynamic segments: who enters and leaves, when, and why."""

import json
from typing import Any

import pytest

from cdp.consents.models import ConsentRecord
from cdp.core.clock import DAY, HOUR, MINUTE, SECOND, iso, now_us
from cdp.identities.lookup import find_person
from cdp.pipeline.merge import merge_people, unmerge
from cdp.privacy.erase import delete_at_once
from cdp.profiles.models import Merge, Profile
from cdp.segments import follow as following
from cdp.segments.definition import ask_for_sweep, define
from cdp.segments.follow import follow, follow_people
from cdp.segments.heads import freshness, head
from cdp.segments.membership import add_members, remove_members
from cdp.segments.models import MembershipChange, Segment
from tests.cdp.segments.making import a_list, a_rule, changes, members, statements
from tests.sending import message, send

pytestmark = pytest.mark.django_db

PRO = {"trait": "plan", "operator": "=", "value": "pro"}
BOUGHT_TWICE = {"event": "purchase", "operator": ">=", "value": 2}
RECENT = {"event": "purchase", "within": "7d"}


def identify(name: str, **traits: Any) -> int:
    send(message("identify", userId=name, traits=traits))
    return person(name)


def person(name: str) -> int:
    found = find_person("user_id", name)
    assert found is not None
    return found.pk


def buy(name: str, **fields: Any) -> None:
    send(message(event="Order Completed", userId=name, properties={"revenue": 10}, **fields))


def test_a_new_rule_is_computed_over_everybody() -> None:
    alice, _ = identify("alice", plan="pro"), identify("bob", plan="free")
    segment = a_rule("pros", PRO)
    assert segment.words
    assert follow() == 1
    assert members(segment) == [alice]
    assert changes(segment) == [(alice, "entered", "initial")]
    assert follow() == 0


def test_whoever_changes_is_followed_with_the_cause() -> None:
    alice = identify("alice", plan="free")
    pros, buyers = a_rule("pros", PRO), a_rule("buyers", BOUGHT_TWICE)
    follow()
    identify("alice", plan="pro")
    follow()
    assert changes(pros) == [(alice, "entered", "trait")]
    buy("alice")
    follow()
    assert members(buyers) == []
    buy("alice")
    follow()
    assert changes(buyers) == [(alice, "entered", "event")]
    identify("alice", plan="free")
    follow()
    assert changes(pros)[1:] == [(alice, "left", "trait")]
    assert members(buyers) == [alice]


def test_a_window_moves_on_without_any_event() -> None:
    alice = identify("alice")
    buy("alice", timestamp=iso(now_us() - 6 * DAY))
    segment = a_rule("recent", RECENT)
    assert segment.windowed
    now = now_us()
    follow(now=now)
    assert members(segment) == [alice]
    assert follow(now=now + 4 * MINUTE) == 0
    follow(now=now + DAY + HOUR)
    assert members(segment) == []
    assert changes(segment) == [(alice, "entered", "initial"), (alice, "left", "time")]
    assert follow(now=now + DAY + HOUR + MINUTE) == 0


def test_a_consent_that_is_given_withdrawn_and_runs_out() -> None:
    alice = identify("alice")
    segment = a_rule("willing", {"consent": "MARKETING_EMAIL", "granted": True})
    follow()
    from cdp.pipeline.api.consents import state_preferences

    public_id = str(Profile.objects.get(pk=alice).public_id)
    state_preferences(public_id, {"email": True}, actor="test")
    follow()
    state_preferences(public_id, {"email": False}, actor="test")
    follow()
    assert changes(segment) == [(alice, "entered", "trait"), (alice, "left", "trait")]
    assert ConsentRecord.objects.count() == 2


def test_a_changed_definition_looks_at_everybody_again() -> None:
    alice, bob = identify("alice", plan="pro"), identify("bob", plan="free")
    segment = a_rule("pros", PRO)
    follow()
    define(segment, {"rules": [{"trait": "plan", "operator": "=", "value": "free"}]})
    segment.refresh_from_db()
    assert (segment.status(now=now_us()), members(segment)) == ("waiting", [alice])
    follow()
    assert members(segment) == [bob]
    assert changes(segment)[1:] == [(bob, "entered", "definition"), (alice, "left", "definition")]
    define(Segment.objects.get(), {"name": "Renamed"})
    assert follow() == 0


def test_asked_to_compute_it_looks_at_everybody_although_nothing_happened() -> None:
    identify("alice", plan="pro")
    segment = a_rule("pros", PRO)
    follow()
    before = Segment.objects.get().swept_at
    ask_for_sweep(segment)
    assert follow() == 1
    assert Segment.objects.get().swept_at > before


def test_a_merge_takes_members_along_and_an_unmerge_brings_them_back() -> None:
    send(message(event="Order Completed", anonymousId="visitor", properties={"revenue": 1}))
    visitor = find_person("anonymous_id", "visitor")
    assert visitor is not None
    buyers = a_rule("buyers", {"event": "purchase"})
    follow()
    alice = identify("alice")
    merge = merge_people(
        Profile.objects.get(pk=alice).public_id, [visitor.public_id], strategy="latest", actor="user:1"
    )
    follow()
    assert members(buyers) == [visitor.pk]
    assert changes(buyers) == [(visitor.pk, "entered", "initial")]
    unmerge(merge.merges[0].public_id, actor="user:1")
    follow()
    assert members(buyers) == [visitor.pk]
    # the other way round: the person who stays is the one who had nothing
    bob = identify("bob")
    buy("carol")
    carol = person("carol")
    follow()
    assert changes(buyers)[1:] == [(carol, "entered", "event")]
    merge_people(Profile.objects.get(pk=bob).public_id, [_public(carol)], strategy="latest", actor="user:1")
    follow()
    assert members(buyers) == [visitor.pk, bob]
    assert changes(buyers)[2:] == [(bob, "entered", "merge"), (carol, "left", "merge")]
    last = Merge.objects.filter(active=True).get()
    unmerge(last.public_id, actor="user:1")
    follow()
    assert changes(buyers)[4:] == [(carol, "entered", "merge"), (bob, "left", "merge")]


def test_what_changes_right_after_a_merge_is_no_merge() -> None:
    alice, bob = identify("alice", plan="free"), identify("bob", plan="free")
    segment = a_rule("pros", PRO)
    merge_people(_public(alice), [_public(bob)], strategy="latest", actor="user:1")
    follow()
    identify("alice", plan="pro")
    follow()
    unmerge(Merge.objects.get().public_id, actor="user:1")
    follow()
    identify("alice", plan="free")
    follow()
    assert changes(segment) == [(alice, "entered", "trait"), (alice, "left", "trait")]


def _public(person_id: int) -> Any:
    return Profile.objects.get(pk=person_id).public_id


def test_the_deleted_leave_a_dynamic_segment_at_once() -> None:
    alice, bob = identify("alice", plan="pro"), identify("bob", plan="pro")
    segment = a_rule("pros", PRO)
    follow()
    delete_at_once([Profile.objects.get(pk=bob)], actor="user:1")
    assert members(segment) == [alice]
    follow()
    assert members(segment) == [alice]
    assert changes(segment) == [(alice, "entered", "initial"), (bob, "left", "deleted")]


def test_segments_that_refer_to_segments_follow_in_one_pass() -> None:
    alice = identify("alice", plan="free")
    pros = a_rule("pros", PRO)
    both = a_rule("both", {"segment": "pros"}, BOUGHT_TWICE)
    neither = a_rule("neither", {"segment": "both", "member": False})
    follow()
    assert [members(one) for one in (pros, both, neither)] == [[], [], [alice]]
    buy("alice")
    buy("alice")
    identify("alice", plan="pro")
    follow()
    assert [members(one) for one in (pros, both, neither)] == [[alice], [alice], []]


def test_a_list_that_changes_is_followed_by_those_that_refer_to_it() -> None:
    alice, bob = identify("alice"), identify("bob")
    vip = a_list()
    segment = a_rule("vips", {"segment": "vip"})
    follow()
    add_members(vip, [alice, bob], actor="user:1")
    assert follow() == 1
    remove_members(vip, [alice])
    follow()
    assert members(segment) == [bob]
    assert changes(segment) == [
        (alice, "entered", "segment"),
        (bob, "entered", "segment"),
        (alice, "left", "segment"),
    ]
    assert follow() == 0


def test_a_segment_whose_reference_changed_by_definition_follows() -> None:
    alice, bob = identify("alice", plan="pro"), identify("bob", plan="free")
    pros = a_rule("pros", PRO)
    segment = a_rule("same", {"segment": "pros"})
    follow()
    define(pros, {"rules": [{"trait": "plan", "operator": "=", "value": "free"}]})
    follow()
    assert members(segment) == [bob]
    assert changes(segment)[1:] == [(bob, "entered", "segment"), (alice, "left", "segment")]


def test_imported_history_is_marked() -> None:
    from cdp.pipeline.accept import accept
    from cdp.pipeline.message import HISTORICAL
    from cdp.pipeline.process import process_inbox
    from tests.cdp.pipeline.test_process import source_named

    buyers = a_rule("buyers", {"event": "purchase"})
    identify("alice")
    identify("bob")
    follow()
    raw = [json.dumps(message(event="Order Completed", userId=name)).encode() for name in ("alice", "bob")]
    accept(raw, source=source_named("shop"), received=now_us(), flags=HISTORICAL)
    process_inbox()
    buy("bob")
    follow()
    rows = MembershipChange.objects.filter(segment=buyers).values_list("person_id", "historical")
    assert dict(rows) == {person("alice"): True, person("bob"): False}


def test_rfm_is_looked_at_with_everybody() -> None:
    for number in range(10):
        for _ in range(number + 1):
            buy(f"u{number}")
    champions = a_rule("champions", {"computed": "rfmSegment", "operator": "exists"}, type="rfm")
    assert champions.relative
    now = now_us()
    follow(now=now)
    assert len(members(champions)) == 10
    buy("u10")
    assert follow_people(now=now) == 0
    assert follow(now=now + 301 * SECOND) == 1
    assert len(members(champions)) == 11


def test_freshness_is_the_age_of_what_was_not_seen() -> None:
    identify("alice", plan="pro")
    segment = a_rule("pros", PRO)
    follow()
    segment.refresh_from_db()
    assert freshness([segment], now=now_us()) == {segment.pk: 0.0}
    assert segment.cursor == head().fence
    identify("bob", plan="pro")
    written = Profile.objects.get(pk=person("bob")).updated_at
    assert freshness([segment], now=written + 90 * SECOND) == {segment.pk: 90.0}
    follow()
    segment.refresh_from_db()
    assert freshness([segment], now=written + 90 * SECOND) == {segment.pk: 0.0}


def test_a_rule_that_cannot_be_run_shows_why_keeps_its_members_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice = identify("alice", plan="pro")
    broken, pros = a_rule("broken", PRO), a_rule("pros", PRO)
    now = now_us()
    follow(now=now)
    Segment.objects.filter(key="broken").update(rules={"trait": "plan", "operator": "~", "value": 1})
    bob = identify("bob", plan="pro")
    follow(now=now)
    assert (members(broken), members(pros)) == ([alice], [alice, bob])
    assert broken.status(now=now) == "failed"
    assert "$.operator" in broken.error
    assert broken.error_at == now
    assert follow(now=now + MINUTE) == 0
    Segment.objects.filter(key="broken").update(rules=PRO)
    follow(now=now + 301 * SECOND)
    assert members(broken) == [alice, bob]
    assert broken.status(now=now) == "ready"


def test_a_pass_has_the_same_number_of_statements_for_one_person_and_for_many(
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(5):
        a_rule(f"pros{number}", PRO)
    a_rule("both", {"segment": "pros0"}, {"segment": "pros1"})
    identify("first", plan="pro")
    follow()

    def pass_over(people: int) -> int:
        send(*(message("identify", userId=f"user-{people}-{n}", traits={"plan": "pro"}) for n in range(people)))
        with statements() as seen, django_assert_max_num_queries(60) as captured:
            assert follow_people(now=now_us()) == 1
        return len(seen) + len(captured)

    pass_over(3)
    assert pass_over(1) == pass_over(40)
    assert Segment.objects.get(key="both").size == 45


def test_an_idle_call_is_one_query(django_assert_num_queries: Any) -> None:
    identify("alice", plan="pro")
    a_rule("pros", PRO)
    follow()
    with statements() as seen, django_assert_num_queries(0):
        follow_people(now=now_us())
    assert len(seen) == 1


def test_people_beyond_a_batch_are_followed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp.segments.follow.BATCH", 3)
    segment = a_rule("pros", PRO)
    follow()
    for chunk in range(4):
        send(*(message("identify", userId=f"user-{chunk}-{n}", traits={"plan": "pro"}) for n in range(4)))
    assert follow() > 1
    assert len(members(segment)) == 16


def test_a_crowd_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp.segments.follow.BATCH", 3)
    monkeypatch.setattr("cdp.segments.follow.SWEEP_FROM", 5)
    segment = a_rule("pros", PRO)
    follow()
    send(*(message("identify", userId=f"u{n}", traits={"plan": "pro"}) for n in range(9)))
    assert follow() == 1
    assert len(members(segment)) == 9
    assert {cause for _, _, cause in changes(segment)} == {"trait"}


def test_predictive_segments_follow_computed_traits_and_calculated_fields() -> None:
    from cdp.traits.calculated import FieldDefinition, save_field
    from cdp.traits.computed import ComputedDefinition, save_computed

    save_computed(ComputedDefinition("orders", {"event": "purchase", "aggregate": "count"}))
    save_field(FieldDefinition("double_orders", "orders * 2"))
    alice = identify("alice")
    often = a_rule("often", {"computed": "orders", "operator": ">=", "value": 2}, type="predictive")
    four = a_rule("four", {"trait": "double_orders", "operator": ">=", "value": 4}, type="predictive")
    assert (often.windowed, four.windowed) == (True, True)
    follow()
    buy("alice")
    buy("alice")
    follow()
    assert [changes(one) for one in (often, four)] == [[(alice, "entered", "event")]] * 2


@pytest.mark.django_db
def test_an_event_that_comes_while_it_begins_does_not_lie_behind_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule is looked at as of a moment after everything that the pass counts as seen."""
    arrived = a_rule("arrived", {"event": "Arrived"})
    follow()
    send(message(event="Arrived", userId="first"))
    real = following.head

    def late() -> following.Head:
        monkeypatch.setattr(following, "head", real)
        send(message(event="Arrived", userId="late"))
        return real()

    monkeypatch.setattr(following, "head", late)
    follow_people()
    assert len(members(arrived)) == 2
