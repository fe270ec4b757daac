"""Who may write and read which rules."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from cdp.access.models import AuditEntry, FieldRight, User
from cdp.access.rights import EVERYTHING, NOTHING, Rights, forget_exceptions
from cdp.segments.models import Segment
from cdp.segments.rule_rights import holds_protected, shown_rule
from cdp.traits.catalogue import forget_catalogue
from cdp.traits.models import TraitDefinition
from tests.calling import Api

pytestmark = pytest.mark.django_db

EMAIL = "zelda@quixmail.example"
PERSONAL = Rights(True, frozenset(), "nobody")
NAMED = {"operator": "AND", "conditions": [{"field": "email", "operator": "=", "value": EMAIL}]}
ILL = {"operator": "AND", "conditions": [{"trait": "diagnosis", "operator": "in", "value": ["Flu", "Gout"]}]}
PLAIN = {"operator": "AND", "conditions": [{"field": "country", "operator": "=", "value": "LT"}]}


@pytest.fixture(autouse=True)
def _sensitive():
    TraitDefinition.objects.create(key="diagnosis", classification="sensitive")
    forget_catalogue()


def rule(condition):
    return {"operator": "AND", "conditions": [condition]}


def test_values_that_are_not_for_the_reader_are_masked():
    words = f"email is {EMAIL}"
    masked = rule({"field": "email", "operator": "=", "value": "z***@q***.example"})
    assert shown_rule(NAMED, words, NOTHING) == (masked, "email is z***@q***.example")
    assert shown_rule(NAMED, words, PERSONAL) == (NAMED, words)
    assert shown_rule(ILL, "diagnosis is Flu or Gout", PERSONAL) == (
        rule({"trait": "diagnosis", "operator": "in", "value": ["***", "***"]}),
        "diagnosis is *** or ***",
    )
    assert shown_rule(ILL, "", EVERYTHING)[0] == ILL
    assert shown_rule(PLAIN, "country is LT", NOTHING) == (PLAIN, "country is LT")
    assert [holds_protected(one) for one in (NAMED, ILL, PLAIN, None)] == [True, True, False, False]


def test_a_value_that_looks_personal_is_masked_wherever_it_is():
    where = rule({"field": "note", "operator": "=", "value": EMAIL})
    hidden = shown_rule({"event": "x", "where": where}, "", NOTHING)[0]
    assert hidden == {"event": "x", "where": rule({"field": "note", "operator": "=", "value": "z***@q***.example"})}


@pytest.mark.parametrize(
    ("asked", "sees", "status"),
    [
        (PLAIN, [], 201),
        (NAMED, [], 403),
        (NAMED, ["personal"], 201),
        (ILL, ["personal"], 403),
        (ILL, ["sensitive"], 201),
        (rule({"trait": "diagnosis", "operator": "exists"}), ["personal"], 403),
    ],
)
def test_a_rule_may_ask_only_about_what_its_author_sees(asked, sees, status):
    api = Api("read", "write", name="author", sees=sees)
    answer = api.post("segments", {"name": "A", "rules": asked})
    assert answer[0] == status
    assert api.post("segments/estimate", {"rules": asked})[0] == (200 if status == 201 else 403)
    if status == 403:
        assert (answer[1]["code"], Segment.objects.count()) == ("permission_denied", 0)


def test_a_masked_rule_stays_as_it_is(client):
    api = Api("admin")
    assert api.post("segments", {"name": "Named", "key": "named", "rules": NAMED})[0] == 201
    blind = Api("read", "write", name="blind", sees=[])
    seen = blind.get("segments/named")[1]
    assert blind.put("segments/named", {"name": "Again", "rules": seen["rules"]})[0] == 403
    assert blind.put("segments/named", {"name": "Renamed"})[0] == 200
    row = Segment.objects.get()
    assert (row.name, row.rules) == ("Renamed", NAMED)

    analyst = User.objects.create_user("ann", is_staff=True)
    analyst.groups.set(Group.objects.filter(name="analyst"))
    client.force_login(analyst)
    address = reverse("admin:segments_segment_change", args=[row.pk])
    assert EMAIL not in client.get(f"{address}?edit").content.decode()
    form = {"name": "By page", "type": row.type, "description": "", "rules": "{}"}
    assert client.post(address, form).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.rules) == ("By page", NAMED)


def test_reading_a_rule_with_a_value_is_recorded():
    api = Api("admin")
    for key, one in (("named", NAMED), ("plain", PLAIN)):
        assert api.post("segments", {"name": key, "key": key, "rules": one})[0] == 201
    AuditEntry.objects.all().delete()
    api.get("segments")
    named = str(Segment.objects.get(key="named").public_id)
    assert list(AuditEntry.objects.values_list("action", "object_ids", "fields")) == [("read", [named], ["rules"])]


def test_a_field_that_is_denied_to_a_group_cannot_be_asked_about():
    FieldRight.objects.create(group=Group.objects.get(name="analyst"), field="country", kind="mask")
    forget_exceptions()
    analyst = User.objects.create_user("ann", is_staff=True)
    analyst.groups.set(Group.objects.filter(name="analyst"))
    client = Client()
    client.force_login(analyst)
    answer = client.post("/api/v1/cdp/segments", {"name": "A", "rules": PLAIN}, content_type="application/json")
    assert (answer.status_code, "`country`" in answer.json()["message"]) == (403, True)
