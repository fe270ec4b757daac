"""Identities by REST (001, 002)."""

import uuid

import pytest

from cdp.access.models import AuditEntry
from cdp.identities.lookup import find_person
from cdp.identities.models import IdentityLog
from tests.cdp.pipeline.api.conftest import NOW
from tests.sending import message, send

NOBODY = str(uuid.UUID(int=7))


def identity(person: str, kind: str, value: str, **fields: object) -> dict[str, object]:
    return {
        "identityType": kind,
        "identityValue": value,
        "namespace": None,
        "provider": None,
        "verifiedAt": None,
        "isPrimary": False,
        "isTrusted": True,
        "metadata": {},
        "firstSeenAt": NOW,
        "profileId": person,
        **fields,
    }


def test_add_list_verify_prefer(api, alice):
    body = {
        "identityType": "PHONE",
        "identityValue": "+370 600 12345",
        "provider": "crm",
        "verifiedAt": "2026-01-02T03:04:05Z",
        "isPrimary": True,
        "metadata": {"my_key": 1},
    }
    phone = identity(
        alice,
        "PHONE",
        "+37060012345",
        provider="crm",
        verifiedAt="2026-01-02T03:04:05.000Z",
        isPrimary=True,
        metadata={"my_key": 1},
    )
    assert api.post(f"identities/{alice}", body) == (201, phone)
    user, email = identity(alice, "USER_ID", "alice"), identity(alice, "EMAIL", "alice@example.com")
    page = {"data": [user, email, phone], "pagination": {"page": 1, "limit": 50, "total": 3}}
    assert api.get(f"identities/{alice}") == (200, page)

    name = {"identity_type": "EMAIL", "identity_value": "ALICE@example.com"}
    email["verifiedAt"] = NOW
    assert api.post(f"identities/{alice}/verify", name) == (200, email)
    email["isPrimary"] = True
    assert api.post(f"identities/{alice}/set-primary", name) == (200, email)
    assert api.get(f"identities/{alice}?limit=1&page=2")[1]["data"] == [email]


def test_the_primary_one_is_one_of_its_type(api, alice):
    for value in ("a@example.com", "b@example.com"):
        body = {"identityType": "EMAIL", "identityValue": value, "isPrimary": True}
        assert api.post(f"identities/{alice}", body)[0] == 201
    primary = [i["identityValue"] for i in api.get(f"identities/{alice}")[1]["data"] if i["isPrimary"]]
    assert primary == ["b@example.com"]


def test_external_ids_have_a_namespace(api, alice):
    body = {"identityType": "EXTERNAL_ID", "identityValue": 5512, "namespace": "shopify"}
    assert api.post(f"identities/{alice}", body) == (
        201,
        identity(alice, "EXTERNAL_ID", "5512", namespace="shopify"),
    )
    address = "identity/resolve?identityType=EXTERNAL_ID&identityValue=5512"
    resolved = {"customerId": alice, "profileId": alice, "identityType": "EXTERNAL_ID", "namespace": "shopify"}
    assert api.get(f"{address}&namespace=shopify") == (200, resolved)
    assert api.get(f"{address}&namespace=other")[0] == 404


def test_002s_link(api, alice):
    body = {"profileId": alice, "identity": {"type": "phone", "value": "+37060012345"}}
    assert api.post("profiles/identity/link", body) == (201, identity(alice, "PHONE", "+37060012345"))
    assert IdentityLog.objects.order_by("id").last().actor == f"key:{api.row.pk}"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"identityType": "EMAIL", "identityValue": "bob@example.com"}, 409, "identifier_taken"),
        ({"identityType": "USER_ID", "identityValue": "second"}, 409, "over_limit"),
        ({"identityType": "NOPE", "identityValue": "x"}, 400, "unknown_identifier_type"),
        ({"identityType": "EMAIL", "identityValue": "null"}, 400, "unusable_identifier"),
        ({"identityType": "EMAIL"}, 400, "invalid"),
        ({"identityType": "EMAIL", "identityValue": "x@example.com", "verifiedAt": "soon"}, 400, "invalid"),
    ],
)
def test_identities_that_cannot_be_added(api, alice, bob, body, status, code):
    before = api.get(f"identities/{alice}")
    answered, error = api.post(f"identities/{alice}", body)
    assert (answered, error["code"]) == (status, code)
    assert api.get(f"identities/{alice}") == before


def test_what_the_person_has_not(api, alice):
    name = {"identityType": "EMAIL", "identityValue": "other@example.com"}
    for path in (f"identities/{alice}/verify", f"identities/{alice}/set-primary", f"identities/{NOBODY}/verify"):
        assert api.post(path, name)[0] == 404
    assert api.get(f"identities/{NOBODY}")[0] == 404


def test_resolve(api, alice, bob):
    api.post("profiles/merge", {"sourceIds": [alice, bob]})
    for value in ("BOB@example.com", "alice@example.com"):
        assert api.get(f"identity/resolve?identityType=EMAIL&identityValue={value}") == (
            200,
            {"customerId": alice, "profileId": alice, "identityType": "EMAIL", "namespace": None},
        )
    assert api.get("identity/resolve?identityType=EMAIL&identityValue=x@example.com")[0] == 404
    assert api.get("identity/resolve?identityType=EMAIL")[1]["details"] == {"path": "identityValue"}
    assert api.get("identity/resolve?identityType=NOPE&identityValue=x")[0] == 400


def test_masked_reads(masked_api, alice):
    _, page = masked_api.get(f"identities/{alice}")
    assert [i["identityValue"] for i in page["data"]] == ["alice", "a***@e***.com"]


def test_a_session_of_events_names_its_person(api):
    send(message(anonymousId="v", context={"sessionId": 1712}))
    person = find_person("anonymous_id", "v")
    assert person is not None
    assert api.get("identity/resolve?identityType=SESSION_ID&identityValue=1712")[1]["customerId"] == str(
        person.public_id
    )
    assert api.get("identity/resolve?identityType=SESSION_ID&identityValue=1713")[0] == 404


def test_remove(api, alice):
    name = {"identityType": "EMAIL", "identityValue": "ALICE@example.com"}
    AuditEntry.objects.all().delete()
    assert api.call("DELETE", f"identities/{alice}", name) == (204, None)
    assert find_person("email", "alice@example.com") is None
    entries = AuditEntry.objects.order_by("id").values_list("action", "object_ids", "fields")
    assert list(entries) == [("remove identity", [alice], ["email"]), ("delete traits", [alice], ["email"])]
    assert api.call("DELETE", f"identities/{alice}", name)[0] == 404
    last = {"identityType": "USER_ID", "identityValue": "alice"}
    status, answer = api.call("DELETE", f"identities/{alice}", last)
    assert (status, answer["code"]) == (409, "last_identity")
