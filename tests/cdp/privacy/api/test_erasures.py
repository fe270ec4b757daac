"""Erasures and suppressions by REST."""

import json
from typing import Any

import pytest

from cdp.access.models import AuditEntry
from cdp.identities.lookup import find_person
from cdp.identities.models import SuppressedIdentifier
from cdp.privacy.erase import continue_erasures
from cdp.privacy.holds import place_hold
from cdp.privacy.receipt import check_signature, public_key
from cdp.profiles.models import Profile
from tests.calling import BASE, Api
from tests.cdp.privacy.test_erase import person, population
from tests.sending import message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer() -> Api:
    return Api("admin")


def test_a_person_is_gone_when_it_answers_and_proven_when_the_worker_was_there(officer: Api) -> None:
    population()
    ada = str(person("user-ada").public_id)
    status, begun = officer.post(f"gdpr/delete/{ada}")
    assert (status, begun["status"], begun["receiptUrl"]) == (202, "running", None)
    assert [step["name"] for step in begun["steps"]] == ["store"]
    assert officer.get(f"profiles/{ada}")[0] == officer.post(f"gdpr/delete/{ada}")[0] == 404
    assert officer.get(f"privacy/erasures/{begun['id']}/receipt")[0] == 409
    assert officer.get("privacy/erasures?status=running")[1]["pagination"]["total"] == 1
    assert continue_erasures() == 1
    status, done = officer.get(f"privacy/erasures/{begun['id']}")
    assert (status, done["status"], done["receiptUrl"]) == (
        200, "done", f"{BASE}privacy/erasures/{begun['id']}/receipt",
    )  # fmt: skip
    answer = officer.client.get(done["receiptUrl"], headers={"Authorization": f"Bearer {officer.key}"})
    assert answer["Content-Disposition"] == f'attachment; filename="erasure-{begun["id"]}.json"'
    receipt = json.loads(answer.content)
    check_signature(receipt)
    assert officer.get("privacy/receipt-key") == (200, {"algorithm": "Ed25519", "publicKey": public_key()})
    assert receipt["publicKey"] == public_key()
    assert ada not in answer.content.decode()
    assert officer.get("privacy/erasures?status=nonsense")[0] == 400
    assert officer.get("privacy/erasures/none")[0] == 404


def test_delete_of_a_profile_erases(officer: Api) -> None:
    population()
    ada = person("user-ada")
    assert Api("write").delete(f"profiles/{ada.public_id}") == (204, None)
    assert find_person("user_id", "user-ada") is None
    send(message(event="late", userId="user-ada"))
    assert find_person("user_id", "user-ada") is None


def test_all_or_nobody(officer: Api) -> None:
    population()
    ids = [str(person(f"user-{name}").public_id) for name in ("ada", "bob")]
    assert officer.post("privacy/erasures", {"profileIds": [*ids, "01890000-0000-7000-8000-000000000000"]})[0] == 404
    assert officer.post("privacy/erasures", {"profileIds": []})[0] == 400
    hold = place_hold(person("user-bob"), reason="case", actor="test")
    status, refused = officer.post("privacy/erasures", {"profileIds": ids})
    assert (status, refused["code"]) == (409, "legal_hold")
    assert Profile.objects.count() == 2
    hold.delete()
    status, begun = officer.post("privacy/erasures", {"profileIds": ids})
    assert (status, len(begun["data"])) == (202, 2)
    assert continue_erasures() == 2
    assert Profile.objects.count() == 0


def test_a_suppression_is_found_by_its_value_and_lifted_for_a_reason(officer: Api) -> None:
    population()
    officer.post(f"gdpr/delete/{person('user-ada').public_id}")
    continue_erasures()
    assert officer.get("privacy/suppressed")[1]["pagination"]["total"] == 4
    wanted = {"type": "email", "value": " Ada@Example.com"}
    status, found = officer.post("privacy/suppressed/find", wanted)
    assert (status, found["type"], found["active"]) == (200, "email", True)
    assert officer.post("privacy/suppressed/find", {"type": "email", "value": "bob@example.com"})[0] == 404
    assert officer.post("privacy/suppressed/find", {"type": "device_id", "value": "x"})[0] == 400
    assert officer.post(f"privacy/suppressed/{found['id']}/lift", {"reason": " "})[0] == 400
    status, lifted = officer.post(f"privacy/suppressed/{found['id']}/lift", {"reason": "came back"})
    assert (status, lifted["active"], lifted["reason"]) == (200, False, "came back")
    assert officer.post(f"privacy/suppressed/{found['id']}/lift", {"reason": "again"})[0] == 409
    assert officer.post("privacy/suppressed/find", wanted)[0] == 404
    [entry] = AuditEntry.objects.filter(action="lift")
    assert (entry.object_ids, entry.why) == ([found["id"]], "came back")
    send(message("identify", userId="user-new", traits={"email": "ada@example.com"}))
    send(message("identify", userId="user-ada", traits={"email": "ada@example.com"}))
    assert find_person("user_id", "user-new") == find_person("email", "ada@example.com") is not None
    assert find_person("user_id", "user-ada") is None
    assert SuppressedIdentifier.objects.filter(lifted_at=None).count() == 3


@pytest.mark.parametrize("scope", ["read", "write", "ingest"])
def test_only_officers(scope: str) -> None:
    population()
    api, ada = Api(scope), person("user-ada").public_id
    calls: list[tuple[str, str, Any]] = [
        ("POST", f"gdpr/delete/{ada}", None), ("POST", "privacy/erasures", {"profileIds": [str(ada)]}),
        ("GET", "privacy/erasures", None), ("GET", "privacy/suppressed", None),
        ("POST", "privacy/suppressed/1/lift", {"reason": "x"}),
    ]  # fmt: skip
    assert {api.call(method, path, body)[0] for method, path, body in calls} == {403}
    assert Profile.objects.count() == 2
