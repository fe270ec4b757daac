"""Packages that are prepared in the background: asked for, made, failed, tried again, killed, erased."""

import io
import os
import zipfile

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from cdp.access.models import AuditEntry, User
from cdp.core.clock import DAY, now_us
from cdp.core.holder import holder_name
from cdp.privacy.erase import erase_person
from cdp.privacy.models import AccessPackage
from cdp.privacy.package import packages_folder, remove_expired_packages
from cdp.privacy.package_making import ask_for_package, packages_wait, prepare_packages
from config import tasks
from config.celery import app
from tests import factories as make
from tests.calling import Api

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def opened(link):
    """What the link shows: the status, and the zip if there is one."""
    answer = Client().get("/privacy/packages/" + link.rsplit("/", 1)[1])
    if answer.status_code != 200:
        return answer.status_code, None
    return 200, zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))


def test_asked_for_and_ready_later(time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    api, person = Api("admin"), make.profile()
    status, asked = api.post(f"gdpr/export/{person.public_id}")
    row = AccessPackage.objects.get()
    assert (status, asked) == (
        202,
        {
            "packageId": str(row.public_id), "profileId": str(person.public_id), "status": "preparing",
            "problem": None, "createdAt": "2026-05-01T12:00:00.000Z", "expiresAt": None, "size": None,
            "link": asked["link"],
        },
    )  # fmt: skip
    assert (os.listdir(packages_folder()), AuditEntry.objects.count(), packages_wait()) == ([], 0, True)
    waiting = Client().get("/privacy/packages/" + asked["link"].rsplit("/", 1)[1])
    assert (waiting.status_code, waiting["Retry-After"], waiting["Cache-Control"]) == (202, "10", "no-store")
    assert b"Your data is being prepared" in waiting.content

    time_machine.move_to("2026-05-01T12:05:00Z", tick=False)
    assert (prepare_packages(), prepare_packages(), packages_wait()) == (1, 0, False)
    row.refresh_from_db()
    assert api.get(f"privacy/packages/{row.public_id}") == (
        200,
        {
            "packageId": str(row.public_id), "status": "ready", "problem": None,
            "createdAt": "2026-05-01T12:00:00.000Z", "expiresAt": "2026-05-08T12:05:00.000Z", "size": row.size,
        },
    )  # fmt: skip
    code, archive = opened(asked["link"])
    assert (code, archive.testzip()) == (200, None)
    assert list(AuditEntry.objects.order_by("id").values_list("actor", "action", "object_ids")) == [
        (f"key:{api.row.pk}", "export", [str(person.public_id), str(row.public_id)]),
        ("link", "download", [str(row.public_id), str(person.public_id)]),
    ]
    time_machine.shift(8 * DAY / 1_000_000)
    assert api.get(f"privacy/packages/{row.public_id}")[1]["status"] == "expired"
    assert opened(asked["link"]) == (404, None)


@pytest.mark.django_db(transaction=True)
def test_the_worker_is_told_and_makes_what_waits():
    app.control.purge()
    tasks.tend_requests()
    assert nudges() == 0
    _, token = ask_for_package(make.profile(), actor="user:1")
    tasks.tend_requests()
    assert nudges() == 1
    app.control.purge()
    assert tasks.prepare_packages() == 1
    assert opened(f"/{token}")[0] == 200


def nudges():
    with app.connection_for_read() as connection:
        return connection.default_channel.queue_declare(app.conf.task_default_queue).message_count


def test_one_that_failed_says_why_and_is_tried_again_behind_the_same_link():
    api, person = Api("admin"), make.profile()
    link = api.post(f"gdpr/export/{person.public_id}")[1]["link"]
    row = AccessPackage.objects.get()
    in_the_way = packages_folder() / row.public_id.hex
    in_the_way.mkdir()
    address = f"privacy/packages/{row.public_id}"
    assert api.post(f"{address}/retry")[0] == 409
    assert prepare_packages() == 0
    _, state = api.get(address)
    assert (state["status"], state["problem"]) == ("failed", "It could not be written: Is a directory.")
    assert (packages_wait(), opened(link)) == (False, (404, None))
    in_the_way.rmdir()
    assert (api.post(f"{address}/retry")[0], api.get(address)[1]["problem"]) == (202, None)
    assert (prepare_packages(), opened(link)[0]) == (1, 200)
    assert api.post(f"{address}/retry")[0] == 409
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == ["try again", "export", "download"]


def test_what_is_begun_by_a_process_that_is_gone_is_made_again_and_nothing_half_is_left():
    row, token = ask_for_package(make.profile(), actor="user:1")
    half = packages_folder() / row.public_id.hex
    half.write_bytes(b"half" * 1_000_000)
    living = AccessPackage.objects.filter(pk=row.pk)
    living.update(holder=holder_name(), held_until=now_us() + DAY)
    assert (packages_wait(), prepare_packages()) == (False, 0)
    machine = holder_name().rsplit(":", 2)[0]
    living.update(holder=f"{machine}:999999999:gone")
    assert (packages_wait(), prepare_packages()) == (True, 1)
    code, archive = opened(f"/{token}")
    assert (code, archive.testzip()) == (200, None)
    assert half.stat().st_size < 1_000_000
    assert (remove_expired_packages(now_us()), os.listdir(half.parent)) == (0, [half.name])


def test_a_person_who_is_gone_meanwhile():
    waiting, gone = make.profile(), make.profile()
    make.identifier(waiting, "user_id", "erased")
    ask_for_package(waiting, actor="user:1")
    ask_for_package(gone, actor="user:1")
    assert erase_person(waiting, request=None, actor="test").status == "done"
    gone.delete()
    assert prepare_packages() == 0
    assert list(AccessPackage.objects.values_list("status", "problem")) == [("failed", "The person was deleted.")]
    assert os.listdir(packages_folder()) == []


@pytest.mark.parametrize(("role", "may"), [("privacy officer", True), ("viewer", False)])
def test_the_console_shows_how_far_it_is(role, may):
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    row, _ = ask_for_package(make.profile(), actor="user:1")
    page = reverse("admin:privacy_accesspackage_change", args=[row.pk])
    AccessPackage.objects.update(status="failed", problem="It could not be written: No space left on device.")
    if not may:
        assert (client.get(page).status_code, client.post(page).status_code) == (403, 403)
        assert AccessPackage.objects.get().status == "failed"
        return
    shown = client.get(page).content.decode()
    assert "It could not be made. It could not be written: No space left on device." in shown
    assert "Try again</button>" in shown
    assert "The worker prepares it within seconds." in client.post(page, follow=True).content.decode()
    assert "Its link works as soon as it is ready." in client.get(page).content.decode()
    assert client.post(reverse("admin:privacy_accesspackage_download", args=[row.pk])).status_code == 404
    assert "Only a package that failed can be tried again." in client.post(page, follow=True).content.decode()
    assert "being prepared" in client.get(reverse("admin:privacy_accesspackage_changelist")).content.decode()
    assert AuditEntry.objects.filter(actor=f"user:{user.pk}", action="try again").count() == 1
