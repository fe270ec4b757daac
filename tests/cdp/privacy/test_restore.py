"""A restored backup forgets again whom it must, before the door opens."""

import shutil
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cdp.core.clock import now_us
from cdp.identities.lookup import find_person
from cdp.identities.models import SuppressedIdentifier
from cdp.pipeline.lease import database
from cdp.privacy.api.suppressed import suppressed_called
from cdp.privacy.erase import continue_erasures, erase_person
from cdp.privacy.journal import Line, last_erasure, read_lines, write_lines
from cdp.privacy.lift import lift_suppression
from cdp.privacy.models import Erasure
from cdp.privacy.restore import is_behind, replay_erasures
from cdp.profiles.models import Profile
from tests.cdp.privacy.test_erase import person, population
from tests.installation import Installation, new_installation
from tests.serving import Serving, serving, until
from tests.settings import STORE


@pytest.fixture(autouse=True)
def journal(settings: Any, tmp_path: Path) -> Path:
    settings.ERASURE_JOURNAL = tmp_path / "erasures.jsonl"
    return settings.ERASURE_JOURNAL


def _lose(erasure: Erasure) -> None:
    """The database as it was before anything was written about the erasure."""
    Erasure.objects.filter(pk=erasure.pk).delete()
    SuppressedIdentifier.objects.all().delete()


@pytest.mark.django_db
def test_an_erasure_that_the_database_lost_is_carried_out_again() -> None:
    population()
    ada, bob = person("user-ada"), person("user-bob")
    kept = Profile.objects.get(pk=ada.pk)
    done = erase_person(ada, request=None, actor="test")
    assert (is_behind(), replay_erasures()) == (False, 0)
    _lose(done)
    kept.save(force_insert=True)
    database().execute("delete from profiles_deletedprofile")
    assert is_behind()
    assert replay_erasures() == 1
    assert not Profile.objects.filter(pk=ada.pk).exists()
    assert find_person("user_id", "user-bob") == bob
    assert (is_behind(), replay_erasures()) == (False, 0)
    assert SuppressedIdentifier.objects.filter(lifted_at=None).count() == 4
    again = Erasure.objects.get(public_id=done.public_id)
    assert (again.actor, again.status) == ("restore", "running")
    assert continue_erasures() == 1
    again.refresh_from_db()
    assert again.receipt is not None
    assert again.receipt["subject"]["suppressed"] == done.receipt["subject"]["suppressed"]


@pytest.mark.django_db
def test_a_number_that_somebody_else_has_now_is_left_alone() -> None:
    population()
    ada, bob = person("user-ada"), person("user-bob")
    done = erase_person(ada, request=None, actor="test")
    _lose(done)
    Profile.objects.filter(pk=bob.pk).update(id=ada.pk, person_id=ada.pk)
    assert replay_erasures() == 1
    assert Profile.objects.get(pk=ada.pk).public_id == bob.public_id


@pytest.mark.django_db
def test_whoever_was_merged_with_them_at_the_time_of_the_backup_stays() -> None:
    population()
    ada, bob = person("user-ada"), person("user-bob")
    row = Profile.objects.get(pk=ada.pk)
    done = erase_person(ada, request=None, actor="test")
    _lose(done)
    row.save(force_insert=True)
    Profile.objects.filter(pk=bob.pk).update(person_id=ada.pk)
    assert replay_erasures() == 1
    assert list(Profile.objects.values_list("pk", "person_id")) == [(bob.pk, bob.pk)]


@pytest.mark.django_db
def test_what_was_lifted_stays_lifted_and_what_came_after_does_not() -> None:
    population()
    done = erase_person(person("user-ada"), request=None, actor="test")
    lift_suppression(suppressed_called("email", "ada@example.com"), actor="test", why="came back")
    _lose(done)
    assert replay_erasures() == 1
    assert SuppressedIdentifier.objects.filter(lifted_at=None).count() == 3
    row = SuppressedIdentifier.objects.get(lifted_by="restore")
    SuppressedIdentifier.objects.filter(pk=row.pk).update(lifted_at=None, created_at=now_us())
    assert replay_erasures() == 0
    assert SuppressedIdentifier.objects.filter(lifted_at=None).count() == 4


def test_the_journal_survives_a_torn_line(journal: Path) -> None:
    first, second = (Line("erase", str(uuid.uuid4()), n, "x" * 70_000) for n in (1, 2))
    assert (list(read_lines()), last_erasure()) == ([], None)
    write_lines([first])
    with journal.open("ab") as file:
        file.write(b'{"kind":"erase","id":"to')
    assert last_erasure() == first.id
    write_lines([second, Line("lift", "00", 3)])
    assert [line.id for line in read_lines()] == [first.id, second.id, "00"]
    assert last_erasure() == second.id


def _backup(installation: Installation) -> str:
    if STORE != "postgres":
        copy = installation.folder.parent / "backup.sqlite3"
        installation.rows("pragma wal_checkpoint(truncate)")
        shutil.copyfile(installation.folder / "cdp.sqlite3", copy)
        return str(copy)
    name = f"cdp_backup_{uuid.uuid4().hex[:12]}"
    _copy_database(installation, _name(installation), name)
    return name


def _put_back(installation: Installation, backup: str) -> None:
    if STORE != "postgres":
        for name in ("cdp.sqlite3-wal", "cdp.sqlite3-shm"):
            (installation.folder / name).unlink(missing_ok=True)
        shutil.copyfile(backup, installation.folder / "cdp.sqlite3")
        return
    with psycopg.connect(_admin(installation), autocommit=True) as connection:
        connection.execute(f"drop database {_name(installation)} with (force)".encode())
    _copy_database(installation, backup, _name(installation))
    with psycopg.connect(_admin(installation), autocommit=True) as connection:
        connection.execute(f"drop database {backup} with (force)".encode())


def _name(installation: Installation) -> str:
    return installation.environment["DATABASE_URL"].rpartition("/")[2]


def _admin(installation: Installation) -> str:
    return installation.environment["DATABASE_URL"].rpartition("/")[0] + "/postgres"


def _copy_database(installation: Installation, old: str, new: str) -> None:
    with psycopg.connect(_admin(installation), autocommit=True) as connection:
        connection.execute(f"create database {new} template {old}".encode())


def test_a_backup_that_is_put_back_does_not_bring_the_person_back(tmp_path: Path) -> None:
    with new_installation(tmp_path / "var") as installation:
        file = tmp_path / "people.csv"
        file.write_text("userId,email\nada,ada@example.com\nbob,bob@example.com\n")
        installation.manage(
            "import_file", str(file), "--kind", "customers", "--map", "userId=userId", "--map", "email=email"
        )
        installation.manage("process_inbox", "--once")
        backup = _backup(installation)
        said = installation.manage("privacy", "erase", "ada@example.com")
        assert "1 erased and proven." in said
        receipt = next(line for line in said.splitlines() if line.endswith(".json"))
        _put_back(installation, backup)
        assert installation.value("select count(*) from profiles_profile") == 2
        assert "2 in identities_identifier" in installation.manage("privacy", "verify", receipt, status=1)
        with serving(installation) as server:
            assert installation.value("select count(*) from profiles_profile") == 1
            assert installation.value("select count(*) from identities_suppressedidentifier") == 2
            assert _ready(server) == 200
            until(lambda: installation.value("select count(*) from privacy_erasure where status = 'done'") == 1)
        assert "nothing was found" in installation.manage("privacy", "verify", receipt)


def _ready(server: Serving) -> int:
    try:
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
