"""The console pages of erasures and of who is kept out."""

import pytest
from django.test import Client

from cdp.access.models import AuditEntry
from cdp.identities.lookup import find_person
from cdp.identities.models import SuppressedIdentifier
from cdp.privacy.erase import continue_erasures
from cdp.privacy.models import Erasure
from tests import factories
from tests.cdp.privacy.test_erase import person, population

pytestmark = pytest.mark.django_db

ADD, LIST, KEPT = (
    "/admin/privacy/erasure/add/", "/admin/privacy/erasure/", "/admin/identities/suppressedidentifier/",
)  # fmt: skip
OFFICER = (
    "privacy.view_erasure", "privacy.add_erasure", "identities.view_suppressedidentifier",
    "identities.change_suppressedidentifier",
)  # fmt: skip


def signed_in(*permissions: str) -> Client:
    client = Client()
    client.force_login(factories.user("officer", permissions=permissions))
    return client


def test_people_are_erased_after_a_typed_word() -> None:
    population()
    ada = str(person("user-ada").public_id)
    officer = signed_in(*OFFICER)
    assert b"Whom: one identifier in each line" in officer.get(ADD).content
    assert b"Line 2: Nobody has this identifier" in officer.post(ADD, {"who": "user-ada\nnobody"}).content
    asked = officer.post(ADD, {"who": "user-ada\nAda@example.com"}).content.decode()
    assert ("erase 1" in asked, ada in asked) == (True, True)
    assert "Type “erase 1”" in officer.post(ADD, {"who": "user-ada", "word": "erase"}).content.decode()
    assert find_person("user_id", "user-ada") is not None
    answer = officer.post(ADD, {"who": "user-ada", "word": " Erase 1"})
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    assert find_person("user_id", "user-ada") is None
    continue_erasures()
    row = Erasure.objects.get()
    assert b"Erased and proven" in officer.get(LIST).content
    page = officer.get(f"{LIST}{row.pk}/change/").content.decode()
    assert ("Nothing of this person was found in" in page, "lake events: 2" in page, ada in page) == (True, True, False)
    receipt = officer.get(f"{LIST}{row.public_id}/receipt/")
    assert receipt.json()["id"] == str(row.public_id)
    assert AuditEntry.objects.filter(action="erase", actor__startswith="user:").count() == 1


def test_what_is_in_the_way_is_shown_and_tried_again() -> None:
    Erasure.objects.create(
        actor="x", started_at=1, status="partial", expires_at=2**60, subject=b"x",
        steps={"store": {"done": True, "gone": {}}, "lake": {"done": False, "problem": "The lake is away."}},
    )  # fmt: skip
    officer = signed_in(*OFFICER)
    row = Erasure.objects.get()
    assert b"The lake is away." in officer.get(LIST).content
    page = f"{LIST}{row.pk}/change/"
    assert b"Try again now" in officer.get(page).content
    assert officer.post(page).status_code == 302
    row.refresh_from_db()
    assert row.expires_at == 0


def test_who_is_kept_out_is_found_and_let_in_again() -> None:
    SuppressedIdentifier.objects.all().delete()
    population()
    officer = signed_in(*OFFICER)
    officer.post(ADD, {"who": "user-ada", "word": "erase 1"})
    assert b"Is it kept out?" in officer.get(KEPT).content
    away = officer.post(f"{KEPT}find/", {"type": "email", "value": "bob@example.com"}, follow=True)
    assert b"This identifier is not suppressed." in away.content
    found = officer.post(f"{KEPT}find/", {"type": "email", "value": "ada@example.com"})
    page = found["Location"]
    assert b"Let it in again" in officer.get(page).content
    assert b"Say why" in officer.post(page, {"reason": ""}).content
    assert officer.post(page, {"reason": "came back"}).status_code == 302
    assert b"came back" in officer.get(page).content
    assert SuppressedIdentifier.objects.filter(lifted_at=None).count() == 3


def test_who_may_only_look_changes_nothing() -> None:
    population()
    viewer = signed_in("privacy.view_erasure", "identities.view_suppressedidentifier")
    assert viewer.get(LIST).status_code == 200
    assert viewer.post(ADD, {"who": "user-ada", "word": "erase 1"}).status_code == 403
    row = SuppressedIdentifier.objects.create(digest=b"1" * 16, type_id=1, created_at=1)
    assert viewer.post(f"{KEPT}{row.pk}/change/", {"reason": "x"}).status_code == 403
    assert find_person("user_id", "user-ada") is not None
