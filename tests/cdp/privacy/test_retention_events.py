"""Retention of events: what the preview counts is what goes, from both stores, by the policy that decides."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.access.models import Source
from cdp.consents.models import GateRule, Purpose
from cdp.core.clock import DAY, now_us
from cdp.events.models import Event, Session
from cdp.history.export import flush_events
from cdp.history.tables import open_table, store_id
from cdp.lake.delta import EVENTS
from cdp.privacy.holds import place_hold
from cdp.privacy.models import LegalHold, RetentionPolicy
from cdp.privacy.retention_events import Old, count_old, delete_old
from cdp.profiles.models import Profile
from tests import factories as make

pytestmark = pytest.mark.django_db


def policy(days: int, *, active: bool = True, **fields) -> RetentionPolicy:
    number = RetentionPolicy.objects.count() + 1
    return RetentionPolicy.objects.create(name=f"policy {number}", subject="events", days=days, active=active, **fields)


def in_lake() -> list[int]:
    table = open_table(EVENTS, store=store_id())
    return [] if table is None else sorted(table.dataset().to_table(columns=["id"])["id"].to_pylist())


def left() -> list[str]:
    return sorted(Event.objects.values_list("name", flat=True))


def ago(days: float) -> int:
    return now_us() - int(days * DAY)


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)


def test_hot_and_lake_are_emptied_and_counted_once():
    alice = make.profile()
    for days in (10, 20, 30, 40):
        make.event(alice, f"e{days}", ts=ago(days))
    flush_events()
    make.event(alice, "late", ts=ago(50))
    keep = Event.objects.filter(name__in=["e10", "e20"]).order_by("id").values_list("id", flat=True)
    one = policy(25)
    expected = {one.pk: Old(rows=3, oldest=ago(50), hot=3, lake=2)}
    assert count_old([one], [one], now=now_us()) == expected
    assert delete_old([one], [one], now=now_us()) == expected
    assert (left(), in_lake()) == (["e10", "e20"], list(keep))
    assert count_old([one], [one], now=now_us()) == {one.pk: Old()}


def test_nothing_of_what_went_stays_in_a_file(settings):
    from pathlib import Path

    alice = make.profile()
    make.event(alice, "gone", ts=ago(40))
    make.event(alice, "kept", ts=ago(1))
    flush_events()
    one = policy(25)
    delete_old([one], [one], now=now_us())
    import pyarrow.parquet as pq

    names = [
        name
        for file in Path(settings.LAKE_URL).rglob("*.parquet")
        if "_delta_log" not in file.parts
        for name in pq.read_table(file, columns=["event"], partitioning=None)["event"].to_pylist()
    ]
    assert names == ["kept"]


def test_the_edge_is_exact():
    alice = make.profile()
    make.event(alice, "edge", ts=ago(25))
    make.event(alice, "older", ts=ago(25) - 1)
    flush_events()
    one = policy(25)
    delete_old([one], [one], now=now_us())
    assert left() == ["edge"]


def test_the_default_decides_only_where_nothing_else_does():
    alice = make.profile()
    for name in ("Page", "Order Completed"):
        for days in (10, 100, 1000):
            make.event(alice, name, ts=ago(days))
    default, orders, few = policy(30), policy(400, event_names=["PURCHASE"]), policy(500, event_names=["Other"])
    everything = [default, orders, few]
    counted = count_old(everything, everything, now=now_us())
    assert {pk: old.rows for pk, old in counted.items()} == {default.pk: 2, orders.pk: 1, few.pk: 0}
    delete_old(everything, everything, now=now_us())
    assert left() == ["Order Completed", "Order Completed", "Page"]


def test_a_policy_alone_leaves_to_the_others_what_they_decide():
    alice = make.profile()
    make.event(alice, "a", ts=ago(100))
    make.event(alice, "b", ts=ago(100))
    long, short = policy(50, event_names=["a", "b"]), policy(30, event_names=["a"])
    assert delete_old([long, short], [long], now=now_us())[long.pk].rows == 1
    assert left() == ["a"]


def test_by_source_and_by_purpose():
    shop, web = make.source("shop"), make.source("web", Source.Kind.BROWSER)
    alice = make.profile()
    analytics = Purpose.objects.get(code="ANALYTICS_TRACKING")
    GateRule.objects.all().delete()
    GateRule.objects.create(
        purpose=analytics, calls=["track", "page"], names=["Seen", "Clicked"], source_kind="browser"
    )
    for source in (shop, web, None):
        make.event(alice, "Seen", ts=ago(100), of=source)
    make.event(alice, "Bought", ts=ago(100), of=web)
    make.event(alice, "Seen", ts=ago(100), of=web, call="identify")
    flush_events()
    by_purpose = policy(30, purpose=analytics)
    assert delete_old([by_purpose], [by_purpose], now=now_us())[by_purpose.pk].rows == 1
    by_both = policy(30, purpose=analytics, source=shop)
    assert delete_old([by_both], [by_both], now=now_us())[by_both.pk].rows == 0
    by_source = policy(30, source=shop)
    assert delete_old([by_source], [by_source], now=now_us())[by_source.pk] == Old(1, ago(100), 1, 1)
    assert len(in_lake()) == 3


def test_held_people_keep_everything_also_by_another_of_their_profiles():
    alice, fragment, bob = make.profile(), make.profile(), make.profile()
    make.merge(alice, fragment)
    for owner in (alice, fragment, bob):
        make.event(owner, str(owner.pk), ts=ago(100), within=make.session(owner, started=ago(100), last=ago(100)))
    flush_events()
    place_hold(fragment, reason="Case 1", actor="test")
    one = policy(30)
    assert delete_old([one], [one], now=now_us()) == {one.pk: Old(1, ago(100), 1, 1, sessions=1)}
    assert left() == sorted([str(alice.pk), str(fragment.pk)])
    assert (len(in_lake()), Session.objects.count()) == (2, 2)


def test_what_is_of_nobody_goes_too():
    nobody = make.event(make.profile(), "Seen", ts=ago(100))
    Event.objects.filter(pk=nobody.pk).update(profile_id=0)
    flush_events()
    one = policy(30)
    assert delete_old([one], [one], now=now_us())[one.pk] == Old(1, ago(100), 1, 1)
    assert (left(), in_lake()) == ([], [])


def test_sessions_go_by_the_default_when_no_event_of_theirs_stays():
    alice = make.profile()
    sessions = [make.session(alice, started=ago(days), last=ago(days)) for days in (100, 101, 102, 5)]
    make.event(alice, "Page", ts=ago(100), within=sessions[0])
    make.event(alice, "Order Completed", ts=ago(101), within=sessions[1])
    default, orders = policy(30), policy(4000, event_names=["PURCHASE"])
    assert count_old([default, orders], [default], now=now_us())[default.pk].sessions == 2
    assert count_old([default, orders], [orders], now=now_us())[orders.pk].sessions == 0
    assert delete_old([default, orders], [default], now=now_us())[default.pk].sessions == 2
    assert set(Session.objects.values_list("pk", flat=True)) == {sessions[1].pk, sessions[3].pk}


def test_more_than_a_chunk(monkeypatch):
    monkeypatch.setattr("cdp.privacy.retention_events.CHUNK", 3)
    alice = make.profile()
    for number in range(20):
        make.event(alice, "a" if number % 3 else "b", ts=ago(100 + number // 4))
    one = policy(30, event_names=["a"])
    assert delete_old([one], [one], now=now_us())[one.pk].rows == 13
    assert left() == ["b"] * 7


# The law: the preview is the run, and both are what a naive reading of the policies says.

NAMES = ("a", "b", "Order Completed")
POLICIES = st.lists(
    st.fixed_dictionaries(
        {
            "days": st.integers(1, 6),
            "event_names": st.lists(st.sampled_from([*NAMES, "PURCHASE", "CUSTOM"]), max_size=2, unique=True),
            "source": st.sampled_from([None, 0, 1]),
            "purpose": st.sampled_from([None, 0, 1]),
            "active": st.booleans(),
        }
    ),
    min_size=1,
    max_size=5,
)
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "purpose": st.sampled_from([0, 1]),
            "calls": st.lists(st.sampled_from(["track", "page"]), max_size=2, unique=True),
            "names": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            "source_kind": st.sampled_from(["", "server", "browser"]),
            "active": st.sampled_from([True, True, False]),
        }
    ),
    max_size=3,
)
EVENT = st.tuples(
    st.integers(0, 3), st.sampled_from(NAMES), st.sampled_from(["track", "page"]),
    st.sampled_from([None, 0, 1]), st.integers(0, 14), st.booleans(),
)  # fmt: skip


def naive(policies, deleting, events, rules, kinds, held, now):
    """Event number → policy by which it goes."""

    def is_for(one, event):
        if one.event_names and event["name"] not in one.event_names and event["type"] not in one.event_names:
            return False
        if one.source_id is not None and event["source_id"] != one.source_id:
            return False
        if one.purpose_id is None:
            return True
        return any(
            rule.active
            and rule.purpose_id == one.purpose_id
            and (not rule.calls or Event.Call(event["call"]).label in rule.calls)
            and (not rule.names or event["name"] in rule.names)
            and (not rule.source_kind or kinds.get(event["source_id"]) == rule.source_kind)
            for rule in rules
        )

    gone = {}
    for event in events:
        if event["profile_id"] in held:
            continue
        matching = [one for one in policies if is_for(one, event)]
        named = [one for one in matching if one.event_names or one.source_id is not None or one.purpose_id is not None]
        shortest = min(named or matching, key=lambda one: (one.days, one.pk), default=None)
        if shortest in deleting and event["ts"] < now - shortest.days * DAY:
            gone[event["id"]] = shortest.pk
    return gone


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drawn=POLICIES,
    rules=RULES,
    first=st.lists(EVENT, max_size=12),
    then=st.lists(EVENT, max_size=6),
    held=st.booleans(),
)
def test_preview_is_run_is_what_the_policies_say(drawn, rules, first, then, held, settings, tmp_path_factory):
    settings.LAKE_URL = str(tmp_path_factory.mktemp("lake"))
    for model in (RetentionPolicy, GateRule, Event, LegalHold, Profile):
        model.objects.all().delete()
    sources = [make.source("shop"), make.source("web", Source.Kind.BROWSER)]
    purposes = list(Purpose.objects.order_by("code")[:2])
    people = [make.profile() for _ in range(4)]
    make.merge(people[0], people[1])
    if held:
        place_hold(people[1], reason="x", actor="test")
    for rule in rules:
        GateRule.objects.create(**{**rule, "purpose": purposes[rule["purpose"]]})
    for one in drawn:
        source, purpose = one["source"], one["purpose"]
        policy(**{**one, "source": None if source is None else sources[source],
                  "purpose": None if purpose is None else purposes[purpose]})  # fmt: skip
    now = now_us()

    def come(drawn_events):
        for person, name, call, source, half_days, edge in drawn_events:
            ts = now - half_days * DAY // 2 - edge
            make.event(people[person], name, ts=ts, call=call, of=None if source is None else sources[source])

    from cdp.history.models import LakeState

    LakeState.objects.filter(pk=EVENTS.name).update(position=None)
    come(first)
    if first:
        flush_events()
    come(then)
    events = list(Event.objects.values("id", "name", "type", "call", "source_id", "profile_id", "ts"))
    active = list(RetentionPolicy.objects.filter(active=True))
    kinds = dict(Source.objects.values_list("pk", "kind"))
    spared = {people[0].pk, people[1].pk} if held else set()
    expected = naive(active, active, events, list(GateRule.objects.all()), kinds, spared, now)
    counted = count_old(active, active, now=now)
    assert {pk: old.rows for pk, old in counted.items() if old.rows} == {
        pk: list(expected.values()).count(pk) for pk in set(expected.values())
    }
    for one in active:
        assert count_old(active, [one], now=now)[one.pk] == counted[one.pk]
    assert delete_old(active, active, now=now) == counted
    kept = {event["id"] for event in events} - set(expected)
    assert set(Event.objects.values_list("id", flat=True)) == kept
    flush_events()
    assert set(in_lake()) == kept
