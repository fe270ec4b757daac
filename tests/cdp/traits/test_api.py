"""The catalogue, calculated fields and computed traits by REST; who reads what; the admin's forms."""

import json

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from cdp.history.export import flush
from cdp.history.layout import wanted_columns
from cdp.identities.lookup import find_person
from cdp.lake.schema import Typed
from cdp.scoring.following import follow_computed
from cdp.traits.models import CalculatedField, ComputedTrait, TraitDefinition
from tests import factories as make
from tests.calling import Api
from tests.sending import message, send

pytestmark = pytest.mark.django_db
SHOE = {
    "key": "shoeSize", "type": "DEMOGRAPHIC", "dataType": "number", "classification": "internal", "readers": [],
    "description": "EU", "owner": "Shop",
}  # fmt: skip
ORDERS = {"event": "purchase", "aggregate": "count"}


@pytest.fixture
def api() -> Api:
    return Api("write", "read")


@pytest.fixture
def alice() -> str:
    send(
        message(
            "identify", userId="alice", traits={"shoeSize": 41, "plan": "pro", "since": "2026-01-02", "deep": {"x": 1}}
        ),
        message("track", event="Order Completed", userId="alice", properties={"revenue": 30, "category": "Books"}),
        message("identify", userId="bob", traits={"shoeSize": 43, "e-mail": "bob@example.com"}),
    )
    return str(find_person("user_id", "alice").public_id)


def test_a_line_is_made_read_changed_and_deleted(api):
    assert api.post("traits/catalogue", SHOE) == (201, SHOE)
    assert api.get("traits/catalogue/shoeSize") == (200, SHOE)
    status, page = api.get("traits/catalogue?limit=500")
    assert (status, page["pagination"]["total"]) == (200, TraitDefinition.objects.count())
    assert next(line for line in page["data"] if line["key"] == "shoeSize") == SHOE
    changed = {**SHOE, "dataType": None, "readers": ["analyst"]}
    assert api.put("traits/catalogue/shoeSize", {"dataType": None, "readers": ["analyst"]}) == (200, changed)
    assert api.delete("traits/catalogue/shoeSize") == (204, None)
    assert api.get("traits/catalogue/shoeSize")[0] == 404


@pytest.mark.parametrize(
    ("body", "status", "code", "path"),
    [
        ({"key": ""}, 400, "bad_trait_key", "key"),
        ({"key": "plan"}, 409, "key_taken", "key"),
        ({"key": "ltv"}, 409, "key_taken", "key"),
        ({"key": "x", "dataType": "integer"}, 400, "invalid", "dataType"),
        ({"key": "x", "type": "THING"}, 400, "invalid", "type"),
        ({"key": "x", "classification": "secret"}, 400, "invalid", "classification"),
        ({"key": "x", "readers": ["nobody"]}, 400, "invalid", "readers"),
    ],
)
def test_lines_that_cannot_be(api, body, status, code, path):
    got, answer = api.post("traits/catalogue", body)
    assert (got, answer["code"], answer["details"]["path"]) == (status, code, path)


def test_a_data_type_gives_a_typed_column(api, alice):
    assert "shoeSize" not in wanted_columns()
    api.post("traits/catalogue", SHOE)
    assert wanted_columns()["shoeSize"] == Typed("t_shoeSize", "number")
    api.put("traits/catalogue/shoeSize", {"classification": "personal"})
    assert "shoeSize" not in wanted_columns()


def test_what_is_not_in_the_catalogue_with_counts(api, alice):
    for _ in range(2):
        status, page = api.get("traits/uncatalogued")
        assert (status, page["data"]) == (
            200,
            [
                {"key": "shoeSize", "dataType": "number", "people": 2},
                {"key": "deep.x", "dataType": "number", "people": 1},
                {"key": "since", "dataType": "time", "people": 1},
            ],
        )
        flush()
    api.post("traits/catalogue", SHOE)
    assert [row["key"] for row in api.get("traits/uncatalogued")[1]["data"]] == ["deep.x", "since"]


def test_calculated_fields(api, alice):
    tier = {"key": "tier", "expression": "if(totalSpent > 20, 'gold', 'basic')"}
    made = {**tier, "dataType": "text", "description": "", "owner": ""}
    assert api.post("traits/calculated", tier) == (201, made)
    assert api.get("traits/calculated/tier") == (200, made)
    assert api.get("traits/calculated")[1]["data"] == [made]
    assert api.post("traits/calculated/check", {"key": "x", "expression": "ltv * 2"}) == (200, {"dataType": "number"})
    status, answer = api.post("traits/calculated", {"key": "x", "expression": "tier + 1"})
    assert (status, answer["code"], answer["details"]) == (
        400, "invalid_expression", {"path": "expression", "position": 6},
    )  # fmt: skip
    assert api.get(f"traits/{alice}/tier")[1]["traitValue"] == "gold"
    traits = {trait["traitKey"]: trait for trait in api.get(f"customer360/{alice}")[1]["traits"]}
    assert (traits["tier"]["traitType"], traits["tier"]["source"]) == ("COMPUTED", "calculated")
    changed = {**made, "expression": "ltv", "dataType": "number"}
    assert api.put("traits/calculated/tier", {"expression": "ltv"}) == (200, changed)
    names = {function["name"] for function in api.get("traits/calculated/check")[1]["data"]}
    assert {"if", "+", "days_since", "and"} <= names
    assert api.delete("traits/calculated/tier") == (204, None)
    assert api.get("traits/calculated/tier")[0] == 404


def test_computed_traits(api, alice):
    status, made = api.post("traits/computed", {"key": "orders", "definition": ORDERS})
    assert (status, made["dataType"], made["status"], made["windowed"]) == (201, "number", "computing", False)
    assert made["words"] != ""
    follow_computed()
    _, ready = api.get("traits/computed/orders")
    assert (ready["status"], ready["computedAt"] is not None) == ("ready", True)
    assert api.get("traits/computed")[1]["data"] == [ready]
    _, trait = api.get(f"traits/{alice}/orders")
    assert (trait["traitValue"], trait["traitType"], trait["source"]) == (1, "COMPUTED", "computed")
    status, preview = api.post("traits/computed/preview", {"definition": {**ORDERS, "within": "7d"}})
    bob = str(find_person("user_id", "bob").public_id)
    assert (status, preview["dataType"]) == (200, "number")
    assert preview["data"] == [{"profileId": bob, "value": 0}, {"profileId": alice, "value": 1}]
    status, answer = api.post(
        "traits/computed", {"key": "x", "definition": {"event": "purchase", "aggregate": "tally"}}
    )
    assert (status, answer["code"], answer["details"]["path"]) == (400, "invalid_rule", "$.aggregate")
    assert api.put("traits/computed/orders", {"owner": "Shop"})[1]["owner"] == "Shop"
    assert ComputedTrait.objects.get().version == 1
    assert api.delete("traits/computed/orders") == (204, None)
    assert api.get(f"traits/{alice}/orders")[0] == 404


def test_the_score_of_a_profile(api, alice, time_machine):
    time_machine.move_to("2027-01-01T12:00:00Z", tick=False)
    status, score = api.get(f"profiles/{alice}/score")
    assert (status, score["lifecycleStage"]) == (200, "active")
    assert score == api.get(f"customer360/{alice}")[1]["profileScore"]


def keys_seen(client: Client, person: str) -> set[str]:
    answer = client.get(f"/api/v1/cdp/traits/{person}?limit=500").json()
    return {trait["traitKey"] for trait in answer["data"]}


def test_who_may_not_read_a_key_does_not_even_learn_that_it_is_there(api, alice):
    api.post("traits/catalogue", {**SHOE, "readers": ["analyst"]})
    api.post("traits/calculated", {"key": "bigger", "expression": "shoeSize + 1"})
    api.post("traits/calculated", {"key": "biggest", "expression": "bigger + 1"})
    everything = {"shoeSize", "plan", "since", "deep", "bigger", "biggest"}
    seen = {}
    for role in ("viewer", "analyst", "marketer", "administrator"):
        user = make.user(role)
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        seen[role] = keys_seen(client, alice)
        document = client.get(f"/api/v1/cdp/profiles/{alice}").json()
        assert ("shoeSize" in document["attributes"]["customFields"]) == (role == "analyst")
        page = client.get(reverse("admin:profiles_profile_change", args=[find_person("user_id", "alice").pk]))
        assert (b"shoeSize" in page.content) == (role == "analyst")
    root = Client()
    root.force_login(make.user("root", administrator=True))
    seen["superuser"] = keys_seen(root, alice)
    hidden = everything - {"shoeSize", "bigger", "biggest"}
    assert seen == {
        "viewer": hidden, "analyst": everything, "marketer": hidden, "administrator": hidden, "superuser": everything,
    }  # fmt: skip
    assert api.get(f"traits/{alice}/shoeSize")[0] == 404
    assert Api("admin").get(f"traits/{alice}/shoeSize")[1]["traitValue"] == 41
    assert api.post(f"traits/{alice}", {"traitKey": "shoeSize", "traitValue": 42})[1]["traitValue"] is None


class TestAdmin:
    @pytest.fixture
    def root(self, client):
        client.force_login(make.user("root", administrator=True))
        return client

    def test_a_calculated_field_is_checked_saved_and_kept_while_used(self, root):
        add = reverse("admin:traits_calculatedfield_add")
        wrong = root.post(add, {"key": "tier", "expression": "ltv +", "description": "", "owner": ""})
        assert "Position 6: A value is missing" in wrong.content.decode()
        root.post(add, {"key": "tier", "expression": "ltv + 1", "description": "", "owner": ""})
        root.post(add, {"key": "more", "expression": "tier + 1", "description": "", "owner": ""})
        rows = list(CalculatedField.objects.values_list("key", "kind"))
        assert rows == [("more", "number"), ("tier", "number")]
        tier = CalculatedField.objects.get(key="tier")
        change = reverse("admin:traits_calculatedfield_change", args=[tier.pk])
        assert b"days_since(time)" in root.get(change).content
        broken = root.post(change, {"key": "tier", "expression": "'x'", "description": "", "owner": ""})
        assert "The calculated field more uses it" in broken.content.decode()
        root.post(change, {"key": "tier", "expression": "ltv + 2", "description": "", "owner": ""})
        assert CalculatedField.objects.get(key="tier").expression == "ltv + 2"
        delete = reverse("admin:traits_calculatedfield_delete", args=[tier.pk])
        assert root.post(delete, {"post": "yes"}).status_code == 403
        root.post(reverse("admin:traits_calculatedfield_delete", args=[CalculatedField.objects.get(key="more").pk]),
                  {"post": "yes"})  # fmt: skip
        assert root.post(delete, {"post": "yes"}).status_code == 302
        assert CalculatedField.objects.count() == 0

    def test_a_computed_trait_shows_what_it_means_and_what_it_gives(self, root, alice):
        add = reverse("admin:traits_computedtrait_add")
        wrong = root.post(add, {"key": "orders", "definition": '{"event": "purchase", "aggregate": "tally"}'})
        assert "$.aggregate:" in wrong.content.decode()
        root.post(add, {"key": "orders", "definition": json.dumps(ORDERS)})
        trait = ComputedTrait.objects.get()
        page = root.get(reverse("admin:traits_computedtrait_change", args=[trait.pk])).content.decode()
        assert trait.words in page
        assert alice in page
        assert "Being computed" in page
        follow_computed()
        assert "Up to date" in root.get(reverse("admin:traits_computedtrait_changelist")).content.decode()

    def test_the_catalogue_with_readers_and_what_it_lacks(self, root, alice):
        add = reverse("admin:traits_traitdefinition_add")
        fields = {"key": "shoeSize", "type": "DEMOGRAPHIC", "data_type": "number", "classification": "internal"}
        missing = reverse("admin:traits_uncatalogued")
        assert "?key=shoeSize&amp;data_type=number" in root.get(missing).content.decode()
        root.post(add, {**fields, "readers": ["analyst"], "description": "", "owner": ""})
        assert TraitDefinition.objects.get(key="shoeSize").readers == ["analyst"]
        root.get(missing)  # says that it was added
        assert "shoeSize" not in root.get(missing).content.decode()
        assert "uncatalogued/" in root.get(reverse("admin:traits_traitdefinition_changelist")).content.decode()

    def test_the_page_of_what_is_missing_needs_the_right(self, client):
        client.force_login(make.user("nobody"))
        assert client.get(reverse("admin:traits_uncatalogued")).status_code == 403
