"""The console: who downloads a package, and whom controllers could not be reached."""

import io
import zipfile

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from cdp.access.models import AuditEntry, User
from cdp.privacy.models import AccessPackage, ControllerNotice
from cdp.privacy.package import make_package
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def signed_in(role):
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client, user


@pytest.mark.parametrize("role", ["viewer", "analyst", "marketer", "privacy officer", "administrator"])
def test_officers_download_and_it_is_recorded(role):
    person = make.profile()
    package, _ = make_package(person, request=None, actor="user:1", why="")
    client, user = signed_in(role)
    before = AuditEntry.objects.count()
    answer = client.post(reverse("admin:privacy_accesspackage_download", args=[package.pk]))
    if role not in ("privacy officer", "administrator"):
        assert (answer.status_code, AuditEntry.objects.count()) == (403, before)
        assert client.get(reverse("admin:privacy_accesspackage_change", args=[package.pk])).status_code == 403
        return
    assert zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))).testzip() is None
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.action, entry.object_ids) == (
        f"user:{user.pk}", "download", [str(package.public_id), str(person.public_id)],
    )  # fmt: skip
    page = client.get(reverse("admin:privacy_accesspackage_change", args=[package.pk])).content.decode()
    assert "Download (" in page
    assert client.get(reverse("admin:privacy_accesspackage_download", args=[package.pk])).status_code == 405


def test_an_expired_one_is_shown_and_not_downloaded():
    package, _ = make_package(make.profile(), request=None, actor="user:1", why="")
    AccessPackage.objects.update(expires_at=make.T0)
    client, _ = signed_in("privacy officer")
    assert client.post(reverse("admin:privacy_accesspackage_download", args=[package.pk])).status_code == 404
    page = client.get(reverse("admin:privacy_accesspackage_change", args=[package.pk])).content.decode()
    assert "Its link has expired and its file is gone." in page


def test_the_list_asks_the_same_for_one_and_for_three(django_assert_max_num_queries):
    client, _ = signed_in("privacy officer")
    address = reverse("admin:privacy_accesspackage_changelist")
    make_package(make.profile(), request=None, actor="user:1", why="")
    client.get(address)
    with django_assert_max_num_queries(30) as one:
        client.get(address)
    for _ in range(2):
        make_package(make.profile(), request=make.privacy_request(make.profile()), actor="user:1", why="")
    with django_assert_max_num_queries(30) as three:
        assert client.get(address).content.decode().count("until ") == 3
    assert len(one) == len(three)


def test_a_controller_who_was_given_up_is_tried_again():
    request = make.privacy_request(make.profile(), channel="opendsr")
    values = {"request": request, "url": "https://c.example/", "version": 3, "next_at": 0}
    failed = ControllerNotice.objects.create(**values, attempts=14, settled=True, error="It answered 500.")
    ControllerNotice.objects.create(**values, settled=True)
    client, user = signed_in("privacy officer")
    chosen = [str(pk) for pk in ControllerNotice.objects.values_list("pk", flat=True)]
    answer = client.post(
        reverse("admin:privacy_controllernotice_changelist"),
        {"action": "try_again", "_selected_action": chosen},
        follow=True,
    )
    assert "1 will be told within seconds" in answer.content.decode()
    failed.refresh_from_db()
    assert (failed.settled, failed.attempts) == (False, 0)
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.action, entry.object_ids) == (f"user:{user.pk}", "try again", [str(failed.pk)])
