"""Segments with rules and the size of a rule while it is built, by REST."""

from typing import Any

import pytest

from cdp.core.clock import now_us
from cdp.identities.lookup import find_person
from cdp.segments.follow import follow
from cdp.segments.models import Segment
from tests.calling import Api, without
from tests.sending import message, send

pytestmark = pytest.mark.django_db

OF_003 = {
    "name": "Big spenders",
    "type": "rule-based",
    "rules": {"operator": "AND", "conditions": [{"field": "totalSpent", "operator": ">", "value": 1000}]},
}
OF_002 = {
    "name": "High Value Customers",
    "type": "dynamic",
    "conditions": [{"field": "totalSpent", "operator": "greater_than", "value": 1000}],
}


@pytest.fixture
def api() -> Api:
    return Api("read", "write")


def spend(name: str, amount: float) -> str:
    send(
        message("identify", userId=name, traits={"country": "DE"}),
        message(event="Order Completed", userId=name, properties={"revenue": amount, "currency": "EUR"}),
    )
    found = find_person("user_id", name)
    assert found is not None
    return str(found.public_id)


@pytest.mark.parametrize("body", [OF_002, OF_003], ids=["002", "003"])
def test_the_segments_of_the_seeds(api: Api, body: dict[str, Any]) -> None:
    rich, _ = spend("rich", 1500), spend("poor", 10)
    status, made = api.post("segments", body)
    assert (status, made["status"], made["size"]) == (201, "waiting", 0)
    assert made["type"] == body["type"]
    assert "1000" in made["words"] or "1,000" in made["words"]
    follow()
    status, read = api.get(f"segments/{made['id']}")
    assert (read["status"], read["size"], read["freshness"]) == ("ready", 1, 0.0)
    assert read["lastComputed"] == read["computedAt"] is not None
    assert [row["id"] for row in api.get(f"segments/{made['id']}/members")[1]["data"]] == [rich]
    spend("richer", 2000)
    assert api.get(f"segments/{made['id']}")[1]["freshness"] > 0


def test_what_is_wrong_with_a_rule_names_the_path(api: Api) -> None:
    rules = {"operator": "AND", "conditions": [{"field": "country", "operator": "grater", "value": "DE"}, {"x": 1}]}
    status, answer = api.post("segments", {"name": "x", "rules": rules})
    assert (status, answer["code"], answer["details"]["path"]) == (400, "invalid_rule", "$.conditions[0].operator")
    assert [problem["path"] for problem in answer["details"]["problems"]] == [
        "$.conditions[0].operator",
        "$.conditions[1]",
    ]
    assert api.post("segments/estimate", {"rules": rules})[1] == answer


def test_segments_may_not_refer_in_a_circle(api: Api) -> None:
    first = {"name": "a", "key": "a", "rules": [{"field": "country", "operator": "=", "value": "DE"}]}
    assert api.post("segments", first)[0] == 201
    assert api.post("segments", {"name": "b", "key": "b", "rules": [{"segment": "a"}]})[0] == 201
    status, answer = api.put("segments/a", {"rules": [{"segment": "b"}]})
    assert (status, answer["code"]) == (400, "invalid_rule")
    assert "a → b → a" in answer["message"]
    assert api.put("segments/a", {"rules": [{"segment": "a"}]})[0] == 400
    status, answer = api.delete("segments/a")
    assert (status, answer["message"]) == (409, "Used by the segment 'b'. Change that first.")


def test_a_rule_is_counted_before_it_is_saved(api: Api) -> None:
    rich, _ = spend("rich", 1500), spend("poor", 10)
    status, answer = api.post("segments/estimate", {"rules": OF_003["rules"], "sample": 5})
    assert (status, without(answer, "words", "computedAt")) == (200, {"size": 1, "people": 2, "sample": [rich]})
    assert Segment.objects.count() == 0
    assert api.post("segments/estimate", {"conditions": OF_002["conditions"]})[1]["size"] == 1
    assert api.post("segments/estimate", {})[0] == 400
    assert api.post("segments/estimate", {"rules": [], "sample": 51})[0] == 400


def test_a_rule_about_personal_data_is_answered_by_the_operational_store(api: Api) -> None:
    send(message("identify", userId="alice", traits={"email": "alice@example.com", "firstName": "Alice"}))
    send(message("identify", userId="bob", traits={"email": "bob@example.com", "firstName": "Bob"}))
    send(message("identify", userId="nobody", traits={"plan": "pro"}))

    def size(**condition: Any) -> int:
        status, answer = api.post("segments/estimate", {"rules": [condition]})
        assert status == 200, answer
        return int(answer["size"])

    assert size(field="email", operator="=", value="Alice@Example.com") == 1
    assert size(field="email", operator="in", value=["bob@example.com", "x@example.com"]) == 1
    assert size(field="email", operator="exists") == 2
    assert size(field="email", operator="not_exists") == 1
    assert size(field="firstName", operator="=", value="Alice") == 1
    assert size(field="firstName", operator="exists") == 2
    assert (
        api.post("segments/estimate", {"rules": [{"field": "email", "operator": "contains", "value": "@"}]})[0] == 400
    )
    made = api.post("segments", {"name": "x", "rules": [{"field": "firstName", "operator": "=", "value": "Alice"}]})[1]
    follow()
    send(message("identify", userId="nobody", traits={"firstName": "Alice"}))
    follow()
    assert api.get(f"segments/{made['id']}/size")[1]["size"] == 2


def test_computing_now_is_asked_for_and_the_worker_is_told(
    api: Api, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.SEGMENTS_WAKE = f"{__name__}.wake"
    with django_capture_on_commit_callbacks(execute=True):
        made = api.post("segments", OF_003)[1]
    assert WOKEN == [1]
    follow()
    with django_capture_on_commit_callbacks(execute=True):
        status, answer = api.post(f"segments/{made['id']}/compute")
    assert (status, answer["status"], len(WOKEN)) == (202, "waiting", 2)
    follow(now=now_us())
    assert api.get(f"segments/{made['id']}")[1]["status"] == "ready"


WOKEN: list[int] = []


def wake() -> None:
    WOKEN.append(1)
