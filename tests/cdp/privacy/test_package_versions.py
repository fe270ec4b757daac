"""Earlier versions of a person, from the history, in their package."""

import csv
import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import jsonschema
import pytest
from django.core.management import call_command

from cdp.consents.ledger import record_consent
from cdp.core.clock import now_us, parse_time
from cdp.history.compact import compact_people_table
from cdp.history.export import flush
from cdp.history.tail import forget_tail
from cdp.identities.lookup import find_person
from cdp.pipeline.lease import exclusive, mark_described
from cdp.pipeline.merge import merge_people, unmerge
from cdp.pipeline.write_traits import delete_trait
from cdp.privacy.package import write_package
from tests.sending import message, send

pytestmark = pytest.mark.django_db
DAY_1, DAY_2, DAY_3, DAY_4, DAY_9 = (f"2026-03-0{number}T10:00:00.000Z" for number in (1, 2, 3, 4, 9))


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    settings.LAKE_URL = str(tmp_path / "lake")
    forget_tail()


def person(user):
    found = find_person("user_id", user)
    assert found is not None
    return found


def said(clock, day, user, **traits):
    """Somebody says something on that day, and the history takes it."""
    clock.move_to(day, tick=False)
    send(message("identify", userId=user, traits=traits))
    flush()


def archive_of(who):
    out = io.BytesIO()
    write_package(who, out, actor="user:1", why="a test", progress=lambda _count: None)
    return zipfile.ZipFile(out)


def data_of(archive):
    data = json.loads(archive.read("data.json"))
    jsonschema.Draft202012Validator(json.loads(archive.read("schema.json"))).validate(data)
    return data


def version(at, who, *, changed=None, removed=(), expires=None, consents=None, mixed=False):
    return {
        "at": at, "changed": changed or {}, "removed": list(removed), "expires": expires or {},
        "consents": consents or {}, "mixed": mixed, "profileId": str(who.public_id),
    }  # fmt: skip


def test_what_changed_from_version_to_version_and_nobody_elses(time_machine):
    said(time_machine, DAY_1, "ada", plan="free", seats=2, email="ada@example.com")
    said(time_machine, DAY_1, "bob", plan="secret of bob")
    said(time_machine, DAY_2, "ada", plan="pro", address={"city": "Vilnius", "street": "Lane 5"})
    compact_people_table(everything=True)  # the first version is in a partition of what was superseded
    ada = person("ada")
    delete_trait(ada.public_id, "seats")
    said(time_machine, DAY_3, "ada", tags=["a", "b"])
    archive = archive_of(ada)
    data = data_of(archive)
    assert data["parts"]["versions"] == [
        version(DAY_1, ada, changed={"plan": "free", "seats": 2}),
        version(DAY_2, ada, changed={"address.city": "Vilnius", "plan": "pro"}),
        version(DAY_3, ada, changed={"tags": ["a", "b"]}, removed=["seats"]),
    ]
    assert (data["missing"], data["counts"]["versions"]) == ({}, 3)
    rows = list(csv.DictReader(io.StringIO(archive.read("csv/versions.csv").decode())))
    assert [(row["at"], json.loads(row["changed"]), json.loads(row["removed"])) for row in rows] == [
        (row["at"], row["changed"], row["removed"]) for row in data["parts"]["versions"]
    ]
    page = archive.read("index.html").decode()
    section = page[page.index('<h2 id="versions">') :]
    section = section[: section.index("</section>")]
    assert re.findall(r'data-label="when">([^<]*)', section) == [
        f"{day[:10]} {day[11:19]} UTC" for day in (DAY_1, DAY_2, DAY_3)
    ]
    assert "<b>address.city</b> Vilnius" in section


def test_consents_and_ends_of_a_version(time_machine):
    said(time_machine, DAY_1, "ada", plan="free")
    ada = person("ada")
    for day, granted, until in ((DAY_2, True, None), (DAY_3, False, None), (DAY_4, True, DAY_9)):
        time_machine.move_to(day, tick=False)
        with exclusive() as db:
            expires = None if until is None else parse_time(until)
            record_consent(ada.pk, "MARKETING_EMAIL", granted=granted, at=now_us(), expires_at=expires)
            mark_described(db, [ada.pk], now=now_us())
        flush()
    assert [row["consents"] for row in data_of(archive_of(ada))["parts"]["versions"]] == [
        {},
        {"MARKETING_EMAIL": "granted"},
        {"MARKETING_EMAIL": "withdrawn"},
        {"MARKETING_EMAIL": "granted until 2026-03-09T10:00:00.000Z"},
    ]


def test_a_version_with_somebody_elses_values_shows_none(time_machine):
    said(time_machine, DAY_1, "ada", plan="free")
    said(time_machine, DAY_1, "bob", city="Kaunas")
    ada, bob = person("ada"), person("bob")
    [merge] = merge_people(ada.public_id, [bob.public_id], strategy="latest", actor="test").merges
    said(time_machine, DAY_2, "ada", plan="team")
    unmerge(merge.public_id, actor="test")
    said(time_machine, DAY_3, "ada", plan="pro")
    both = archive_of(person("ada"))
    found = data_of(both)["parts"]["versions"]
    assert "Kaunas" not in both.read("data.json").decode()
    assert [row["mixed"] for row in found] == [False, True, False]
    assert found[1] == version(DAY_2, ada, mixed=True)
    assert found[2]["changed"] == {"plan": "pro"}
    others = data_of(archive_of(person("bob")))["parts"]["versions"]
    assert [value for row in others for value in row["changed"].values()] == ["Kaunas"]


def damaged(lake):
    for path in lake.rglob("part=*/*.parquet"):
        path.write_bytes(b"damaged")


@pytest.mark.parametrize("lose", [damaged, shutil.rmtree])
def test_a_history_that_cannot_be_read_is_said_everywhere(lose, settings, time_machine, tmp_path, capsys):
    said(time_machine, DAY_1, "ada", plan="free")
    lose(Path(settings.LAKE_URL))
    ada = person("ada")
    archive = archive_of(ada)
    data = data_of(archive)
    assert data["parts"]["versions"] == []
    assert [row["value"] for row in data["parts"]["traits"]] == ["free"]
    why = data["missing"]["versions"]
    assert data["missing"] == {"versions": why}
    assert archive.read("csv/versions.missing.txt").decode() == f"{why}\n"
    page = archive.read("index.html").decode()
    assert f'<p class="note" role="note">{why}</p>' in page
    assert '<a href="#versions">Earlier details</a> <span class="quiet">not complete</span>' in page
    call_command("privacy", "export", str(ada.public_id), "--output", str(tmp_path / "ada.zip"))
    assert f"versions: {why}" in capsys.readouterr().out
