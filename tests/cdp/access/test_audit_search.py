"""Asking the audit: by REST, on its page, exported, and from the shell; for officers and administrators alone."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from cdp.access.audit import record_change, shell_actor
from cdp.access.audit_head import head_path
from cdp.access.audit_seal import seal
from cdp.access.audit_search import AuditFilter, actor_names, each_entry
from cdp.access.audit_verify import verify
from cdp.access.keys import add_api_key
from cdp.access.models import AuditEntry, User
from cdp.core.clock import SECOND, iso
from tests import factories as make
from tests.calling import Api

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_dir")]
LISTING = "/admin/access/auditentry/"
EXPORT = f"{LISTING}export/"


@pytest.fixture
def trail(time_machine):
    """Five entries, a day apart from 2026-05-01T12:00Z; returns the name of each by its number."""
    alice = make.user("alice")
    key, _ = add_api_key("crm", ["read"])
    for day, (actor, action, kind, ids) in enumerate(
        [
            (f"user:{alice.pk}", "change", "source", ["1"]),
            (f"user:{alice.pk}", "read", "profile", ["ada", "bob"]),
            (f"key:{key.pk}", "read", "profile", ["bob"]),
            ("shell:ops", "import", "importrun", ["1"]),
            (f"key:{key.pk}", "delete", "profile", ["ada"]),
        ],
        1,
    ):
        time_machine.move_to(f"2026-05-0{day}T12:00:00Z", tick=False)
        record_change(actor, action=action, object_type=kind, object_ids=ids, fields=["name"], why=f"day {day}")
    time_machine.move_to("2026-05-06T12:00:00Z", tick=False)
    return alice, key


ASKED = [
    ({}, [5, 4, 3, 2, 1]),
    ({"actor": "alice"}, [2, 1]),
    ({"actor": "{alice}"}, [2, 1]),
    ({"actor": "crm"}, [5, 3]),
    ({"actor": "shell:ops"}, [4]),
    ({"actor": "ops"}, [4]),
    ({"actor": "user:999"}, []),
    ({"action": "read"}, [3, 2]),
    ({"objectType": "profile"}, [5, 3, 2]),
    ({"objectId": "ada"}, [5, 2]),
    ({"objectId": "1"}, [4, 1]),
    ({"objectId": "ad"}, []),
    ({"startDate": "2026-05-03"}, [5, 4, 3]),
    ({"startDate": "2026-05-03T12:00:01Z"}, [5, 4]),
    ({"endDate": "2026-05-02"}, [2, 1]),
    ({"endDate": "2026-05-02T11:59:59Z"}, [1]),
    ({"objectId": "ada", "action": "read", "actor": "alice", "startDate": "2026-05-02"}, [2]),
]


class TestRest:
    @pytest.fixture
    def api(self, trail):
        return Api("admin", name="all")

    @pytest.mark.parametrize(("asked", "days"), ASKED, ids=[str(asked) for asked, _ in ASKED])
    def test_filters_by_number_and_by_cursor(self, asked, days, api, trail):
        query = "&".join(f"{name}={value.format(alice=f'user:{trail[0].pk}')}" for name, value in asked.items())
        status, answer = api.get(f"audit?{query}")
        assert (status, [row["why"] for row in answer["data"]]) == (200, [f"day {day}" for day in days])
        assert answer["pagination"] == {"page": 1, "limit": 50, "total": len(days)}
        found, cursor = [], ""
        while cursor is not None:
            answer = api.get(f"audit?{query}&limit=2&cursor={cursor}")[1]
            found += [row["why"] for row in answer["data"]]
            cursor = answer.get("next")
        assert found == [f"day {day}" for day in days]

    def test_an_entry(self, api, trail):
        seal()
        row = AuditEntry.objects.get(why="day 2")
        assert api.get("audit?action=read&actor=alice")[1]["data"] == [
            {
                "id": str(row.public_id), "at": "2026-05-02T12:00:00.000Z", "actor": f"user:{trail[0].pk}",
                "action": "read", "objectType": "profile", "objectIds": ["ada", "bob"], "fields": ["name"],
                "requestId": "", "address": "", "why": "day 2", "place": 2,
            }
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("query", "code"),
        [("cursor=abc", "invalid_cursor"), ("cursor=1.x", "invalid_cursor"), ("startDate=May", "invalid")],
    )
    def test_what_cannot_be_asked(self, query, code, api):
        status, answer = api.get(f"audit?{query}")
        assert (status, answer["code"]) == (400, code)

    @pytest.mark.parametrize("count", [1, 20])
    def test_queries_do_not_grow(self, count, api, django_assert_num_queries):
        for _ in range(count):
            record_change("user:1", action="x", object_type="y", object_ids=["z"], fields=[])
        api.get("audit")
        with django_assert_num_queries(2):
            api.get("audit?action=x")


class TestPage:
    @pytest.fixture
    def officer(self, client, trail):
        user = make.user("olga")
        user.groups.add(Group.objects.get(name="privacy officer"))
        client.force_login(user)
        return client

    def found(self, client, **query):
        return [int(row.why[4:]) for row in client.get(LISTING, query).context["cl"].result_list]

    @pytest.mark.parametrize("role", ["viewer", "analyst", "marketer"])
    def test_is_for_officers_and_administrators(self, role, client, trail):
        user = make.user("vera")
        user.groups.add(Group.objects.get(name=role))
        client.force_login(user)
        assert [client.get(LISTING).status_code, client.post(EXPORT, {"format": "csv"}).status_code] == [403, 403]
        assert AuditEntry.objects.count() == 5

    def test_search_and_filters(self, officer):
        assert self.found(officer) == [5, 4, 3, 2, 1]
        assert self.found(officer, q="alice") == [2, 1]
        assert self.found(officer, q="crm") == [5, 3]
        assert self.found(officer, q="ada") == [5, 2]
        assert self.found(officer, action="read") == [3, 2]
        assert self.found(officer, object_type="profile", q="bob") == [3, 2]
        assert self.found(officer, **{"from": "2026-05-02", "to": "2026-05-03"}) == [3, 2]
        assert self.found(officer, **{"from": "yesterday"}) == [5, 4, 3, 2, 1]

    def test_names_who_it_was(self, officer, trail):
        page = officer.get(LISTING).content.decode()
        alice, key = trail
        assert (f"alice (user:{alice.pk})" in page, f"crm (key:{key.pk})" in page, "shell:ops" in page) == (True,) * 3
        row = AuditEntry.objects.get(why="day 2")
        page = officer.get(reverse("admin:access_auditentry_change", args=[row.pk])).content.decode()
        assert (f"alice (user:{alice.pk})" in page, "day 2" in page) == (True, True)

    @pytest.mark.parametrize("count", [1, 20])
    def test_queries_do_not_grow(self, count, officer, django_assert_num_queries):
        for n in range(count):
            record_change(f"user:{n}", action="x", object_type="y", object_ids=["z"], fields=[])
        officer.get(LISTING)
        with django_assert_num_queries(13):
            officer.get(LISTING)

    def test_says_whether_it_verifies(self, officer):
        def says():
            return officer.get(LISTING).content.decode()

        assert ("Never verified yet" in says(), "Entries wait to be sealed since" in says()) == (True, True)
        seal()
        verify()
        page = says()
        assert ("5 entries, all as they were written" in page, "Sealed up to place 5." in page) == (True, True)
        with connection.cursor() as cursor:
            cursor.execute("delete from access_auditentry where place = 2")
        verify()
        assert "The audit does not verify" in says()
        assert "Place 2 is empty" in says()

    def test_cannot_be_changed(self, officer):
        row = AuditEntry.objects.first()
        for page in (f"{LISTING}{row.pk}/delete/", f"{LISTING}add/"):
            assert officer.get(page).status_code == 403
        officer.post(f"{LISTING}{row.pk}/change/", {"actor": "nobody"})
        assert AuditEntry.objects.filter(actor="nobody").count() == 0

    def test_export_of_what_is_shown(self, officer):
        answer = officer.post(f"{EXPORT}?object_type=profile&q=ada", {"format": "jsonl"})
        assert (answer.streaming, answer["Content-Disposition"]) == (True, 'attachment; filename="audit.jsonl"')
        lines = [json.loads(line) for line in answer.getvalue().splitlines()]
        assert [(line["why"], line["objectIds"]) for line in lines] == [("day 5", ["ada"]), ("day 2", ["ada", "bob"])]
        entry = AuditEntry.objects.order_by("-id").first()
        assert (entry.actor, entry.action, entry.object_type, entry.why) == (
            f"user:{User.objects.get(username='olga').pk}", "export", "audit", "jsonl object_type=profile&q=ada",
        )  # fmt: skip
        assert "object_ids" in entry.fields

    def test_export_as_csv_runs_nothing_in_a_spreadsheet(self, officer):
        record_change("user:1", action="x", object_type="y", object_ids=["=1+1", "b"], fields=[], why='@a,"b"\nc')
        rows = list(csv.DictReader(io.StringIO(officer.post(EXPORT, {"format": "csv"}).getvalue().decode())))
        assert (len(rows), rows[0]["object_ids"], rows[0]["why"], rows[1]["why"]) == (
            6, "'=1+1 b", "'@a,\"b\"\nc", "day 5",
        )  # fmt: skip

    @pytest.mark.parametrize("form", ["", "xml"])
    def test_no_other_format_and_no_get(self, form, officer):
        assert (officer.post(EXPORT, {"format": form}).status_code, officer.get(EXPORT).status_code) == (405, 405)


def test_all_entries_are_read_in_pages(monkeypatch, trail):
    from cdp.access import audit_search

    monkeypatch.setattr(audit_search, "_CHUNK", 2)
    rows = AuditEntry.objects.all()
    rows.update(at=7 * SECOND)
    assert [row.pk for row in each_entry(rows)] == sorted(rows.values_list("pk", flat=True), reverse=True)


def test_a_filter_in_words():
    wanted = AuditFilter(actor="alice", object_id="ada", since=SECOND)
    assert wanted.described() == f"actor=alice object_id=ada since={iso(SECOND)}"


def test_names_of_nobody():
    assert actor_names(["nobody", "user:999", "user:x", "key:"]) == {}


class TestCommand:
    def said(self, *arguments):
        out = io.StringIO()
        call_command("audit", *arguments, stdout=out)
        return out.getvalue()

    def test_verify_says_what_it_found(self, trail, data_dir, tmp_path_factory):
        assert "5 rows are not sealed yet, the oldest of 2026-05-01T12:00:00.000Z" in self.said("verify")
        assert self.said("seal") == "Sealed: 5 rows.\n"
        assert self.said("verify") == "5 rows are as they were written; the chain is whole.\n"
        copy = tmp_path_factory.mktemp("elsewhere") / "head.json"
        copy.write_bytes(head_path().read_bytes())
        assert "the chain is whole" in self.said("verify", "--head", str(copy))
        head_path().unlink()
        assert "There is no signed head" in self.said("verify")
        row = AuditEntry.objects.get(place=3).pk
        with connection.cursor() as cursor:
            cursor.execute("update access_auditentry set actor = 'user:1' where place = 3")
        with pytest.raises(CommandError, match=f"Entry {row} was changed.* 2 rows before are as they were written"):
            self.said("verify")
        with pytest.raises(CommandError, match="There is no file"):
            self.said("verify", "--head", str(data_dir / "none.json"))

    def test_export_is_recorded(self, trail, tmp_path):
        path = tmp_path / "out.csv"
        self.said("export", "--format", "csv", "--output", str(path), "--objectId", "ada", "--endDate", "2026-05-03")
        with path.open() as file:
            assert [row["why"] for row in csv.DictReader(file)] == ["day 2"]
        entry = AuditEntry.objects.order_by("-id").first()
        assert (entry.actor, entry.action, entry.why) == (
            shell_actor(), "export", "csv object_id=ada until=2026-05-03T23:59:59.999Z",
        )  # fmt: skip

    def test_after_a_restore(self, trail):
        seal()
        with pytest.raises(CommandError, match="nothing to accept"):
            self.said("seal", "--restored", "no reason")
        with connection.cursor() as cursor:
            cursor.execute("delete from access_auditentry where place > 3")
            cursor.execute(
                "update access_audithead set place = 3, chain = (select chain from access_auditentry where place = 3)"
            )
        with pytest.raises(CommandError, match="signed up to place 5"):
            self.said("seal")
        assert self.said("seal", "--restored", "the disk died") == "Sealed: 1 rows.\n"
        assert "4 rows are as they were written" in self.said("verify")


def test_the_exit_status_of_an_installation(tmp_path):
    """As an operator runs it: made, changed, sealed, verified, tampered with, found."""
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)

    def manage(*command):
        ended = subprocess.run(
            [sys.executable, "manage.py", *command], env=environment, capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stdout + ended.stderr

    assert manage("setup")[0] == 0
    assert manage("audit", "seal") == (0, "Sealed: 3 rows.\n")
    assert manage("audit", "verify")[0] == 0
    import sqlite3

    with sqlite3.connect(tmp_path / "cdp.sqlite3") as database:
        database.execute("delete from access_auditentry where place = 3")
        database.execute(
            "update access_audithead set place = 2, chain = (select chain from access_auditentry where place = 2)"
        )
    status, said = manage("audit", "verify")
    assert (status, "The chain ends at place 2, and went to 3: its end was removed." in said) == (1, True)
