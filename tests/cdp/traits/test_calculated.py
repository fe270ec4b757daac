"""Calculated fields: saving them, and the same values for one person and in the people table of a query."""

from typing import Any

import pytest

from cdp.core.clock import iso, now_us
from cdp.core.errors import Conflict, Invalid
from cdp.customer360.parts import parts_of
from cdp.history.export import flush
from cdp.history.snapshot import snapshot
from cdp.identities.lookup import find_person
from cdp.lake.fields.tree import FieldError
from cdp.profiles.models import Profile
from cdp.traits.calculated import FieldDefinition, calculated_values, delete_field, field_of, save_field
from cdp.traits.catalogue import catalogue, forget_catalogue
from cdp.traits.computed import ComputedDefinition, delete_computed, save_computed
from cdp.traits.expressions import calculated_kinds, with_calculated
from cdp.traits.models import CalculatedField, TraitDefinition
from tests.sending import message, send

pytestmark = pytest.mark.django_db

FIELDS = {
    "spent_per_order": "ltv / purchaseCount",
    "tier": "if(totalSpent >= 100, 'gold', if(exists(plan), upper(plan), 'none'))",
    "size": "coalesce(number(shoeSize), 0) + length(tags)",
    "since_days": "days_since(joined)",
    "tier_words": "concat('tier ', tier)",
    "near": "contains(text(address.country), 'T')",
    "doubled": "orders * 2",
    "stage": "lifecycleStage",
    "score": "round(profileScore / 10) + eventCount",
}


def define(fields: dict[str, str]) -> None:
    for key, expression in fields.items():
        save_field(FieldDefinition(key, expression))


@pytest.fixture(autouse=True)
def _described() -> None:
    TraitDefinition.objects.filter(key="plan").update(data_type="text")
    TraitDefinition.objects.filter(key="tags").update(data_type="list")
    TraitDefinition.objects.create(key="joined", data_type="time")
    forget_catalogue()


def people() -> None:
    order = {"revenue": 60, "currency": "EUR"}
    send(
        message(
            "identify", userId="a", traits={"plan": "pro", "tags": ["x", "y"], "joined": "2026-01-02", "shoeSize": 41}
        ),
        message("track", event="Order Completed", userId="a", properties=order),
        message("track", event="Order Completed", userId="a", properties=order),
        message(
            "identify", userId="b", traits={"plan": 7, "joined": "soon", "address": {"country": "LT", "street": "X 1"}}
        ),
        message("track", event="Order Completed", userId="c", properties={"revenue": 20, "currency": "USD"}),
        message("track", event="Looked", anonymousId="d", properties={}),
    )


def in_queries(now: int, keys: Any = FIELDS) -> dict[int, dict[str, Any]]:
    with snapshot() as snap:
        tables = with_calculated(snap.tables, keys, now=now, zone="UTC")
        rows = snap.run(tables.people.select("person", *(f"t_{key}" for key in keys))).to_pylist()
    return {
        row.pop("person"): {key.removeprefix("t_"): value for key, value in row.items() if value is not None}
        for row in rows
    }


def test_one_person_and_everybody_have_the_same_values():
    save_computed(ComputedDefinition("orders", {"event": "purchase", "aggregate": "count"}))
    define(FIELDS)
    people()
    from cdp.scoring.following import follow_computed

    follow_computed()
    now = now_us()
    alone = {
        person.pk: dict(parts_of(person, now=now).calculated)
        for person in Profile.objects.filter(person_id__isnull=False).order_by("id")
    }
    assert in_queries(now) == alone
    flush()
    assert in_queries(now) == alone
    a = alone[find_person("user_id", "a").pk]
    expected = {
        "spent_per_order": 60.0, "tier": "gold", "size": 43.0, "tier_words": "tier gold", "doubled": 4.0,
        "stage": "new",
    }  # fmt: skip
    assert {key: a[key] for key in expected} == expected
    b = alone[find_person("user_id", "b").pk]
    assert (b["tier"], b["near"], "since_days" in b, "size" in b) == ("none", True, False, False)


def test_the_expired_count_neither_here_nor_there(time_machine):
    from cdp.access.source import api_source
    from cdp.pipeline.write_traits import TraitWrite, set_traits

    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    define({"tier": "coalesce(plan, 'none')"})
    send(message("track", event="Looked", userId="a"))
    person = find_person("user_id", "a")
    until = now_us() + 1_000_000
    set_traits(person.public_id, [TraitWrite("plan", "pro", expires_at=until)], source=api_source())
    assert in_queries(until - 1, ["tier"])[person.pk] == parts_of(person, now=until - 1).calculated == {"tier": "pro"}
    assert in_queries(until, ["tier"])[person.pk] == parts_of(person, now=until).calculated == {"tier": "none"}


def test_only_what_is_named_is_computed():
    define({"a": "ltv", "b": "a + 1", "c": "purchaseCount"})
    with snapshot() as snap:
        assert with_calculated(snap.tables, ["plan", "unknown"], now=1, zone="UTC") is snap.tables
        some = with_calculated(snap.tables, ["b"], now=1, zone="UTC").people
        assert set(some.columns) - set(snap.tables.people.columns) == {"t_a", "t_b"}
    assert calculated_kinds() == {"a": "number", "b": "number", "c": "number"}


@pytest.mark.parametrize(
    ("key", "expression", "error", "words"),
    [
        ("9lives", "1", Invalid, "begins with a letter"),
        ("email", "1", Invalid, "looks personal"),
        ("ltv", "1", Conflict, "built-in measure"),
        ("plan", "1", Conflict, "catalogue has this key"),
        ("PLAN", "1", Conflict, "catalogue has this key"),
        ("x", "1 +", FieldError, "A value is missing"),
        ("x", "email", FieldError, "is personal"),
        ("x", "recencyScore", FieldError, "Nothing is known of `recencyScore`"),
        ("x", "x + 1", FieldError, "Nothing is known of `x`"),
    ],
)
def test_what_cannot_be_saved(key, expression, error, words):
    with pytest.raises(error) as raised:
        save_field(FieldDefinition(key, expression))
    assert words in raised.value.message
    assert CalculatedField.objects.count() == 0


def test_circles_and_broken_users_are_refused():
    define({"a": "1", "b": "a + 1", "c": "b * 2"})
    for key, expression, words in (
        ("a", "c", "may not go in a circle: b → a → c → b"),
        ("a", "a", "may not go in a circle"),
        ("a", "'text'", "The calculated field b uses it"),
    ):
        with pytest.raises((FieldError, Conflict)) as raised:
            save_field(FieldDefinition(key, expression), field=field_of(key))
        assert words in raised.value.message
    with pytest.raises(Conflict, match="calculated field b uses it"):
        delete_field(field_of("a"))
    with pytest.raises(Conflict, match="calculated field b uses it"):
        save_field(FieldDefinition("renamed", "1"), field=field_of("a"))
    assert dict(CalculatedField.objects.values_list("key", "expression")) == {"a": "1", "b": "a + 1", "c": "b * 2"}
    assert calculated_values({}, now=0) == {"a": 1.0, "b": 2.0, "c": 4.0}
    delete_field(field_of("c"))
    delete_field(field_of("b"))
    delete_field(field_of("a"))


def test_a_field_whose_names_left_the_catalogue_has_no_value():
    define({"shout": "upper(plan)", "louder": "concat(shout, '!')", "one": "1"})
    assert list(catalogue().calculated) == ["shout", "louder", "one"]
    TraitDefinition.objects.filter(key="plan").delete()
    forget_catalogue()
    assert list(catalogue().calculated) == ["one"]


def test_a_computed_trait_that_is_used_stays():
    trait = save_computed(ComputedDefinition("orders", {"event": "purchase", "aggregate": "count"}))
    define({"many": "orders > 3"})
    with pytest.raises(Conflict, match="calculated field many uses it"):
        delete_computed(trait)
    last = {"event": "purchase", "aggregate": "last", "property": "category"}
    with pytest.raises(Conflict, match="calculated field many uses it"):
        save_computed(ComputedDefinition("orders", last), trait=trait)


def test_times_are_shown_as_times():
    define({"later": "if(exists(joined), joined, now())"})
    send(message("identify", userId="a", traits={"joined": "2026-01-02"}))
    from cdp.customer360.view import trait_parts

    parts = {
        part.trait_key: part for part in trait_parts(parts_of(find_person("user_id", "a"), now=now_us()), clear=True)
    }
    assert parts["later"].trait_value == iso(1_767_312_000_000_000)
    assert (parts["later"].trait_type, parts["later"].source) == ("COMPUTED", "calculated")
