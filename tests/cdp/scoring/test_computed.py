"""Computed traits: their values against plain Python over the same events, and how they follow the store."""

import random
from collections import Counter
from typing import Any

import pytest
from django.db import connection

from cdp.core.clock import DAY, iso, now_us
from cdp.core.json import decode
from cdp.customer360.parts import parts_of
from cdp.history.export import flush
from cdp.history.reading import database
from cdp.identities.lookup import find_person
from cdp.pipeline.merge import merge_people
from cdp.privacy.erase import delete_at_once
from cdp.profiles.models import Profile
from cdp.scoring.following import follow_computed
from cdp.scoring.refresh import refresh_computed, sweep_computed
from cdp.traits.calculated import FieldDefinition, save_field
from cdp.traits.computed import ComputedDefinition, aggregates, delete_computed, save_computed
from cdp.traits.models import ComputedProgress, ComputedTrait, ComputedValue
from tests.sending import message, send

pytestmark = pytest.mark.django_db

BOOKS = {"field": "category", "operator": "=", "value": "Books"}
KINDS: dict[str, dict[str, Any]] = {
    "orders": {"event": "purchase", "aggregate": "count"},
    "book_revenue": {"event": "purchase", "aggregate": "sum", "property": "revenue", "where": {"conditions": [BOOKS]}},
    "mean_order": {"event": "purchase", "aggregate": "avg", "property": "revenue"},
    "smallest": {"event": "purchase", "aggregate": "min", "property": "revenue"},
    "largest": {"event": "purchase", "aggregate": "max", "property": "revenue"},
    "favourite": {"event": "purchase", "aggregate": "most_frequent", "property": "category"},
    "first_category": {"event": "purchase", "aggregate": "first", "property": "category"},
    "last_category": {"event": "purchase", "aggregate": "last", "property": "category"},
    "all_categories": {"event": "purchase", "aggregate": "unique_list", "property": "category"},
    "categories": {"event": "purchase", "aggregate": "distinct", "property": "category"},
    "recent_orders": {"event": "purchase", "aggregate": "count", "within": "30d"},
}


def define(*keys: str) -> None:
    for key in keys:
        save_computed(ComputedDefinition(key=key, definition=KINDS[key]))


def kept() -> dict[tuple[str, int], Any]:
    keys = dict(ComputedTrait.objects.values_list("id", "key"))
    return {(keys[row.trait_id], row.person_id): decode(row.value) for row in ComputedValue.objects.all()}


def generated(seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    now = now_us()
    return [
        {
            "user": f"u{chance.randrange(9)}",
            "ts": now - chance.randrange(1, 60 * 86_400) * 1_000_000 - number,
            "category": chance.choice(("Books", "Music", "Games", None)),
            "revenue": chance.choice((5, 7.25, 12.5, 99.99)),
            "name": chance.choice(("Order Completed", "Order Completed", "Looked")),
        }
        for number in range(60)
    ]


def sent(rows: list[dict[str, Any]]) -> None:
    send(
        *(
            message(
                "track",
                event=row["name"],
                userId=row["user"],
                timestamp=iso(row["ts"]),
                properties={k: row[k] for k in ("category", "revenue") if row[k] is not None},
            )
            for row in rows
        )
    )


def oracle(rows: list[dict[str, Any]], now: int) -> dict[str, Any]:
    """The value of every kind for one person's rows, computed without the engine. Times are whole milliseconds."""
    bought = sorted((row for row in rows if row["name"] == "Order Completed"), key=lambda row: row["ts"] // 1000)
    revenue = [row["revenue"] for row in bought]
    named = [row["category"] for row in bought if row["category"]]
    often = Counter(named)
    return {
        "orders": len(bought),
        "book_revenue": round(sum(row["revenue"] for row in bought if row["category"] == "Books"), 6),
        "mean_order": round(sum(revenue) / len(revenue), 6) if revenue else None,
        "smallest": min(revenue, default=None),
        "largest": max(revenue, default=None),
        "favourite": min((c for c in often if often[c] == max(often.values())), default=None),
        "first_category": named[0] if named else None,
        "last_category": named[-1] if named else None,
        "all_categories": sorted(set(named)) or None,
        "categories": len(set(named)),
        "recent_orders": sum(row["ts"] // 1000 * 1000 >= now - 30 * DAY for row in bought),
    }


def expected(rows: list[dict[str, Any]], now: int) -> dict[tuple[str, int], Any]:
    found = {}
    for user in {row["user"] for row in rows}:
        person = find_person("user_id", user)
        assert person is not None
        values = oracle([row for row in rows if row["user"] == user], now)
        found |= {(key, person.pk): value for key, value in values.items() if value is not None}
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_ten_kinds_are_what_plain_python_says(seed):
    rows = generated(seed)
    sent(rows[:40])
    flush()
    sent(rows[40:])
    define(*KINDS)
    now = now_us()
    sweep_computed(list(KINDS), now=now)
    assert kept() == expected(rows, now)


def test_following_is_sweeping():
    rows = generated(4)
    define(*KINDS)
    sent(rows[:20])
    assert follow_computed() > 0
    sent(rows[20:])
    follow_computed()
    followed = kept()
    assert followed == expected(rows, now_us())
    assert sweep_computed(list(KINDS), now=now_us()) == 0
    assert follow_computed() == 0


def test_only_what_changed_is_written_in_a_constant_number_of_queries(monkeypatch):
    define("orders", "favourite")
    send(*(message("track", event="Order Completed", userId=f"u{n}", properties={"category": "A"}) for n in range(30)))
    people = list(Profile.objects.values_list("id", flat=True))
    counting = database()
    monkeypatch.setattr("cdp.scoring.refresh.database", lambda: counting)

    def asked(some: list[int], now: int) -> tuple[int, int]:
        before = counting.queries
        return refresh_computed(some, now=now), counting.queries - before

    before_it_happened, now = 1, now_us()
    assert asked(people, before_it_happened) == (30, 2)  # no orders: 0 is a value; no favourite
    assert asked(people[:1], now) == (2, 2)
    assert asked(people, now + 1) == (58, 2)
    assert asked(people, now + 2) == (0, 1)
    assert set(ComputedValue.objects.values_list("computed_at", flat=True)) == {now, now + 1}
    assert asked(people, before_it_happened) == (60, 3)


def test_idle_it_costs_two_queries_and_without_traits_none(django_assert_num_queries):
    follow_computed()  # reads the catalogue
    with django_assert_num_queries(0):
        assert follow_computed() == 0
    define("orders")
    send(message("track", event="Order Completed", userId="u"))
    follow_computed()
    with django_assert_num_queries(2):  # and the fence
        assert follow_computed() == 0


def test_windows_move_on_without_an_event(time_machine, settings):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    define("recent_orders")
    send(message("track", event="Order Completed", userId="u"))
    follow_computed()
    assert list(kept().values()) == [1]
    time_machine.move_to("2026-06-15T12:00:00Z", tick=False)
    assert follow_computed() == 1
    assert list(kept().values()) == [0]
    assert follow_computed() == 0


def test_merged_people_are_one():
    define("orders", "categories")
    send(message("track", event="Order Completed", userId="a", properties={"category": "X"}))
    send(message("track", event="Order Completed", userId="b", properties={"category": "Y"}))
    follow_computed()
    a, b = find_person("user_id", "a"), find_person("user_id", "b")
    merge_people(a.public_id, [b.public_id], strategy="latest", actor="test")
    follow_computed()
    assert kept() == {("orders", a.pk): 2, ("categories", a.pk): 2}


def test_of_deleted_people_nothing_is_left():
    define("orders")
    send(message("track", event="Order Completed", userId="a"), message("track", event="Order Completed", userId="b"))
    follow_computed()
    a, b = find_person("user_id", "a"), find_person("user_id", "b")
    delete_at_once([a], actor="test")
    assert kept() == {("orders", b.pk): 1}
    # what a pass that was under way wrote afterwards goes with the next one
    ComputedValue.objects.create(trait=ComputedTrait.objects.get(), person_id=a.pk, value="1", computed_at=0)
    follow_computed()
    assert kept() == {("orders", b.pk): 1}


def test_a_new_definition_is_computed_for_everybody_and_an_old_ones_values_go():
    send(message("track", event="Order Completed", userId="a", properties={"revenue": 10, "category": "X"}))
    define("orders")
    follow_computed()
    person = find_person("user_id", "a").pk
    assert kept() == {("orders", person): 1}
    trait = ComputedTrait.objects.get()
    save_computed(
        ComputedDefinition("orders", {"event": "purchase", "aggregate": "sum", "property": "revenue"}), trait=trait
    )
    assert ComputedTrait.objects.get().version == 2
    follow_computed()
    assert kept() == {("orders", person): 10}
    delete_computed(ComputedTrait.objects.get())
    assert ComputedValue.objects.count() == 0
    assert aggregates() == {}


def test_another_living_worker_keeps_this_one_out():
    define("orders")
    send(message("track", event="Order Completed", userId="a"))
    ComputedProgress.objects.update(lease_holder="elsewhere:1:x", lease_until=now_us() + DAY)
    assert follow_computed() == 0
    ComputedProgress.objects.update(lease_until=now_us() - 1)
    assert follow_computed() == 1


def test_a_failure_is_noted_and_the_lease_given_back(monkeypatch):
    define("orders")

    def broken(*_given: object, **_more: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("cdp.scoring.following.sweep_computed", broken)
    with pytest.raises(RuntimeError):
        follow_computed()
    progress = ComputedProgress.objects.get()
    assert (progress.error, progress.lease_holder) == ("RuntimeError", "")


def test_they_are_shown_and_calculated_fields_build_on_them():
    define("orders", "mean_order")
    save_field(FieldDefinition("big_spender", "mean_order > 50 and orders >= 1"))
    send(message("track", event="Order Completed", userId="a", properties={"revenue": 80}))
    follow_computed()
    parts = parts_of(find_person("user_id", "a"), now=now_us())
    assert {key: found.value for key, found in parts.computed.items()} == {"orders": 1, "mean_order": 80}
    assert parts.calculated == {"big_spender": True}


def test_the_tables_are_those_of_the_models():
    with connection.cursor() as cursor:
        columns = [c.name for c in connection.introspection.get_table_description(cursor, "traits_computedvalue")]
    assert sorted(columns) == ["computed_at", "person_id", "trait_id", "value"]
