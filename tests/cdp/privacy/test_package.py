"""The access package: everything about the whole person, in two forms, behind a link that ends."""

import csv
import hashlib
import io
import json
import os
import re
import stat
import tracemalloc
import zipfile

import jsonschema
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client

from cdp.access.keys import forget_keys
from cdp.access.models import ApiKey, AuditEntry
from cdp.access.source import SourceRef
from cdp.consents.ledger import record_consent
from cdp.core.clock import DAY, from_us, now_us
from cdp.core.errors import NotFound
from cdp.events.body import EventBody, seal_body
from cdp.events.models import Event
from cdp.history.export import flush
from cdp.history.purge import purge_hot_events
from cdp.identities.models import IdentityLog
from cdp.pipeline.accept import accept
from cdp.pipeline.lease import exclusive
from cdp.privacy.models import AccessPackage, LegalHold, PrivacyRequest
from cdp.privacy.package import make_package, packages_folder, remove_expired_packages
from cdp.privacy.package_making import prepare_packages
from cdp.privacy.package_parts import LEFT_OUT, parts_of_package
from cdp.privacy.package_zip import write_zip
from cdp.profiles.models import KeepApart
from cdp.segments.models import Audience, ListedProfile, Membership, MembershipChange, Segment
from cdp.traits.catalogue import forget_catalogue
from cdp.traits.models import ComputedTrait, ComputedValue
from integrations.models import Integration, RequestLog
from tests import factories as make
from tests.calling import Api

pytestmark = pytest.mark.django_db

EMAIL, NAME = "ona@quixmail.example", "<script>alert('Ona')</script>"
OURS = {"access", "consents", "events", "history", "identities", "integrations", "pipeline", "privacy", "profiles",
        "scoring", "segments", "traits", "widget_api"}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def ona():
    """Two profiles that are one person, with a bit of everything."""
    shop = make.source("shop")
    ona, other = make.profile(), make.profile()
    make.identifier(ona, "email", EMAIL)
    make.identifier(other, "device_id", "device-7")
    make.traits(ona, of=shop, firstName=NAME, plan="pro")
    make.traits(other, of=shop, city="Kaunas")
    visit = make.session(ona, started=make.T0, last=make.T0 + 60_000_000)
    make.event(ona, "Signed In", of=shop, properties={"by": EMAIL}, within=visit)
    make.event(other, "Product Viewed", ts=make.T0 + 5_000, of=shop, properties={"name": NAME})
    make.merge(ona, other)
    make.recount(ona)
    return ona


def make_segment(key):
    return Segment.objects.create(key=key, name=key, words="whoever", generation=1, created_at=0, updated_at=0)


def unzipped(answer):
    return zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))


def fetched(token):
    answer = Client().get(f"/privacy/packages/{token}")
    assert answer.status_code == 200
    return unzipped(answer)


def test_from_the_api_to_the_download(ona):
    api = Api("admin")
    status, made = api.post(f"gdpr/export/{ona.public_id}")
    assert prepare_packages() == 1
    row = AccessPackage.objects.get()
    assert (status, made["packageId"], made["profileId"]) == (202, str(row.public_id), str(ona.public_id))
    base, token = made["link"].rsplit("/", 1)
    assert base == f"{settings.PUBLIC_URL}/privacy/packages"
    assert bytes(row.token) == hashlib.sha256(token.encode()).digest()
    answer = Client().get(f"/privacy/packages/{token}")
    assert {name: answer[name] for name in ("Cache-Control", "Content-Type", "Content-Disposition")} == {
        "Cache-Control": "no-store",
        "Content-Type": "application/zip",
        "Content-Disposition": 'attachment; filename="your-data.zip"',
    }
    assert int(answer["Content-Length"]) == row.size
    archive = unzipped(answer)
    assert archive.testzip() is None
    data = json.loads(archive.read("data.json"))
    assert data["person"] == {
        "id": str(ona.public_id),
        "profileIds": [str(p.public_id) for p in ona.fragments.order_by("id")],
    }
    assert [row["value"] for row in data["parts"]["identifiers"]] == [EMAIL, "device-7"]
    assert {row["key"]: row["value"] for row in data["parts"]["traits"]} == {
        "firstName": NAME, "plan": "pro", "city": "Kaunas",
    }  # fmt: skip
    assert [row["name"] for row in data["parts"]["events"]] == ["Product Viewed", "Signed In"]
    assert data["counts"] == {name: len(rows) for name, rows in data["parts"].items()}
    row.refresh_from_db()
    assert row.fetches == 1
    assert list(AuditEntry.objects.order_by("id").values_list("actor", "action", "object_type", "object_ids")) == [
        (f"key:{api.row.pk}", "export", "profile", [str(ona.public_id), str(row.public_id)]),
        ("link", "download", "accesspackage", [str(row.public_id), str(ona.public_id)]),
    ]


def zipped(person, request=None):
    _, token = make_package(person, request=request, actor="user:1", why="a test")
    return fetched(token)


def test_what_data_json_holds_follows_its_schema(ona):
    archive = zipped(ona)
    data, schema = json.loads(archive.read("data.json")), json.loads(archive.read("schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(data)
    assert (
        list(data["parts"])
        == [part.name for part in parts_of_package()]
        == list(schema["properties"]["parts"]["properties"])
    )


def test_the_tables_say_what_data_json_says(ona):
    archive = zipped(ona)
    data = json.loads(archive.read("data.json"))
    for part in parts_of_package():
        rows = list(csv.DictReader(io.StringIO(archive.read(f"csv/{part.name}.csv").decode())))
        assert len(rows) == data["counts"][part.name], part.name
    [first, second] = csv.DictReader(io.StringIO(archive.read("csv/events.csv").decode()))
    assert (first["name"], json.loads(first["properties"])) == ("Product Viewed", {"name": NAME})
    assert (second["name"], second["source"]) == ("Signed In", "shop")


def test_a_spreadsheet_runs_nothing():
    person = make.profile()
    make.identifier(person, "user_id", "=HYPERLINK(1)")
    rows = list(csv.DictReader(io.StringIO(zipped(person).read("csv/identifiers.csv").decode())))
    assert [row["value"] for row in rows] == ["'=HYPERLINK(1)"]


def test_the_page_runs_nothing_and_asks_nobody(ona):
    html = zipped(ona).read("index.html").decode()
    assert "&lt;script&gt;alert(&#x27;Ona&#x27;)&lt;/script&gt;" in html
    assert "<script" not in html
    assert re.findall(r"(?:src|href|action)\s*=\s*\"(?!#)|url\(|@import|https?:", html) == []


def test_the_page_shows_some_rows_and_says_where_the_others_are(monkeypatch):
    monkeypatch.setattr("cdp.privacy.package_page.MOST_ROWS", 3)
    person = make.profile()
    for number in range(5):
        make.event(person, f"Event {number}", ts=make.T0 + number)
    html = zipped(person).read("index.html").decode()
    assert [number for number in range(5) if f">Event {number}<" in html] == [2, 3, 4]
    assert "And 2 more: all are in <code>csv/events.csv</code>" in html


def test_a_portable_package_has_what_the_person_gave(ona):
    request = make.privacy_request(ona, kind=PrivacyRequest.Kind.PORTABILITY)
    archive = zipped(ona, request)
    data = json.loads(archive.read("data.json"))
    assert data["kind"] == "portability"
    assert list(data["parts"]) == ["identifiers", "traits", "consents", "events", "sessions", "messages"]
    assert sorted(archive.namelist()) == sorted(
        ["data.json", "schema.json", "index.html", *(f"csv/{name}.csv" for name in data["parts"])]
    )


def test_everything_of_the_whole_person_is_in_it(ona):
    """A bit of each part; what another person has is in none."""
    other = make.profile()
    make.identifier(other, "email", "jonas@else.example")
    make.traits(other, firstName="Jonas")
    make.event(other, "Elsewhere")
    number = ona.fragments.exclude(pk=ona.pk).get().pk
    segment = make_segment("vip")
    Membership.objects.create(segment=segment, person_id=ona.pk, from_gen=1, entered_at=make.T0)
    MembershipChange.objects.create(
        segment=segment, person_id=ona.pk, generation=1, change="entered", cause="event", at=make.T0
    )
    ListedProfile.objects.create(segment=segment, profile_id=number, added_at=make.T0)
    Audience.objects.create(key="all", name="All", segment=segment, created_at=0, updated_at=0)
    trait = ComputedTrait.objects.create(key="views", definition={}, kind="number", words="views, counted")
    ComputedValue.objects.create(trait=trait, person_id=ona.pk, value="2", computed_at=make.T0)
    forget_catalogue()
    with exclusive():
        record_consent(number, "MARKETING_EMAIL", granted=True, at=make.T0, ip="10.1.2.0")
    IdentityLog.objects.create(at=make.T0, kind="merge", rule="rule 4", profile_id=ona.pk, other_id=number)
    KeepApart.objects.create(first=ona, second=other, created_at=make.T0)
    LegalHold.objects.create(person=ona, reason="a case", created_at=make.T0, created_by="user:1")
    make.privacy_request(ona)
    integration = Integration.objects.create(provider="exacaster", name="Elsewhere", created_at=0, updated_at=0)
    RequestLog.objects.create(
        integration=integration, at=make.T0, customer=settings.KEYRING.digest("lookup", "device-7"), status=200, ms=9,
        cached=False, called=True,
    )  # fmt: skip
    reader = Api("read")
    reader.get(f"customer360/{ona.public_id}")
    make_package(ona, request=None, actor="user:1", why="an earlier one")
    text = zipped(ona).read("data.json").decode()
    data = json.loads(text)
    assert data["counts"] == {
        "profiles": 2, "identifiers": 2, "traits": 3, "consents": 1, "computed": 1, "scores": 3, "versions": 0,
        "events": 2,
        "sessions": 1, "messages": 0, "merges": 1, "separations": 1, "decisions": 1, "segments": 1, "segmentChanges": 1,
        "lists": 1, "audiences": 1, "lookUps": 1, "requests": 1, "packages": 1, "holds": 1, "accesses": 2,
    }  # fmt: skip
    assert [value for value in ("jonas@else.example", "Jonas", 'Elsewhere","cat', "a case") if value in text] == []
    parts = data["parts"]
    assert parts["merges"][0]["why"] == "One event carried identifiers of both."
    assert [(row["by"], row["action"]) for row in parts["accesses"]] == [
        ("user:1", "export"),
        (f"key:{reader.row.pk}", "read"),
    ]
    [said] = parts["consents"]
    assert (said["purpose"], said["ip"], said["granted"], said["counts"]) == (
        "MARKETING_EMAIL", "10.1.2.0", True, True,
    )  # fmt: skip


def test_every_table_is_in_a_part_or_left_out_for_a_reason():
    models = {model._meta.label for model in apps.get_models() if model._meta.app_label in OURS}
    held = {table for part in parts_of_package() for table in part.tables}
    assert held & LEFT_OUT.keys() == set()
    assert models - held - LEFT_OUT.keys() == set()
    assert (held | LEFT_OUT.keys()) - models == set()


def test_a_link_that_is_wrong_or_has_expired_shows_the_same_page(ona, time_machine):
    package, token = make_package(ona, request=None, actor="user:1", why="")
    unknown = Client().get("/privacy/packages/" + "x" * 43)
    time_machine.move_to(from_us(package.expires_at), tick=False)
    expired = Client().get(f"/privacy/packages/{token}")
    assert (unknown.status_code, expired.status_code) == (404, 404)
    assert unknown.content == expired.content
    assert unknown["Cache-Control"] == expired["Cache-Control"] == "no-store"
    assert b"This link does not work" in unknown.content
    package.refresh_from_db()
    assert package.fetches == 0


def test_links_cannot_be_tried_without_end(time_machine):
    time_machine.move_to("2026-05-01T12:00:20Z", tick=False)
    answers = [Client().get(f"/privacy/packages/{number}").status_code for number in range(21)]
    assert answers == [404] * 20 + [429]


def test_only_get_downloads(ona):
    package, token = make_package(ona, request=None, actor="user:1", why="")
    assert [Client().generic(method, f"/privacy/packages/{token}").status_code for method in ("HEAD", "POST")] == [
        405,
        405,
    ]
    package.refresh_from_db()
    assert package.fetches == 0


def test_the_sweep_removes_what_has_expired(ona, time_machine):
    package, _ = make_package(ona, request=None, actor="user:1", why="")
    later, _ = make_package(ona, request=None, actor="user:1", why="")
    AccessPackage.objects.filter(pk=later.pk).update(expires_at=package.expires_at + DAY)
    assert remove_expired_packages(package.expires_at - 1) == 0
    assert remove_expired_packages(package.expires_at) == 1
    assert os.listdir(packages_folder()) == [later.public_id.hex]
    assert AccessPackage.objects.get(pk=package.pk).key is None
    assert remove_expired_packages(package.expires_at + DAY) == 1
    assert os.listdir(packages_folder()) == []


def test_a_file_is_private_and_says_nothing(ona):
    package, _ = make_package(ona, request=None, actor="user:1", why="")
    path = packages_folder() / package.public_id.hex
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    content = path.read_bytes()
    assert [word for word in (EMAIL.encode(), b"data.json", b"PK\x03\x04") if word in content] == []
    assert settings.KEYRING.decrypt("package", package.key) not in content


def test_the_package_of_somebody_who_was_deleted_meanwhile_is_not_kept(ona, monkeypatch):
    def deleting(*args, **kwargs):
        counts = write_zip(*args, **kwargs)
        ona.fragments.all().delete()
        return counts

    monkeypatch.setattr("cdp.privacy.package.write_zip", deleting)
    with pytest.raises(NotFound):
        make_package(ona, request=None, actor="user:1", why="")
    assert (AccessPackage.objects.count(), os.listdir(packages_folder())) == (0, [])


def test_who_may_not_export(ona):
    for scope in ("ingest", "read", "read_masked", "write"):
        assert Api(scope).post(f"gdpr/export/{ona.public_id}")[0] == 403
    masked = Api("admin", name="masked")
    ApiKey.objects.filter(pk=masked.row.pk).update(classifications=["personal"])
    forget_keys()
    status, answer = masked.post(f"gdpr/export/{ona.public_id}")
    assert (status, answer["code"]) == (403, "permission_denied")
    assert AccessPackage.objects.count() == 0


def test_the_command_writes_a_file_once(ona, tmp_path, capsys):
    target = tmp_path / "ona.zip"
    call_command("privacy", "export", EMAIL, "--output", str(target))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as archive:
        assert json.loads(archive.read("data.json"))["person"]["id"] == str(ona.public_id)
    before = target.read_bytes()
    with pytest.raises(CommandError, match="there already"):
        call_command("privacy", "export", str(ona.public_id), "--output", str(target))
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ona.zip", "packages"]
    with pytest.raises(CommandError, match="Nobody has this identifier"):
        call_command("privacy", "export", "nobody@else.example", "--output", str(tmp_path / "no.zip"))


def test_what_only_the_history_has_is_in_it(ona):
    Event.objects.filter(profile=ona)  # the lake takes what is there
    flush()
    purge_hot_events(now_us() + 400 * DAY)
    assert Event.objects.count() == 0
    names = [row["name"] for row in json.loads(zipped(ona).read("data.json"))["parts"]["events"]]
    assert names == ["Product Viewed", "Signed In"]


def test_messages_that_carry_an_identifier_of_the_person_are_in_it(ona):
    shop = SourceRef.of(make.source("shop"))
    sent = [
        {"type": "track", "event": "x", "userId": "else", "properties": {"to": [" ONA@quixmail.example "]}},
        {"type": "track", "event": "y", "anonymousId": "nobody"},
        {"type": "track", "event": "", "context": {"device": {"id": "device-7"}}},
        {"type": "track", "event": "", "anonymousId": "nobody"},
    ]
    broken = b'{"email": "ona@quixmail.example'
    accept([*(json.dumps(one).encode() for one in sent), broken], source=shop, received=make.T0)
    found = json.loads(zipped(ona).read("data.json"))["parts"]["messages"]
    assert [row["message"] for row in found] == [sent[0], sent[2], broken.decode()]
    assert [row["problem"] is None for row in found] == [True, False, False]


def test_memory_does_not_grow_with_the_events(monkeypatch):
    """Five hundred events on small pages, and five times as many."""
    monkeypatch.setattr("cdp.customer360.timeline._AT_ONCE", 100)
    monkeypatch.setattr("cdp.privacy.package_page.MOST_ROWS", 100)
    peaks = []
    for events in (500, 2_500):
        person = make.profile()
        body = seal_body(EventBody("m", {"note": "x" * 1_000}, {}, []))
        Event.objects.bulk_create(
            Event(
                digest=os.urandom(16), profile=person, call=1, type="CUSTOM", name="Seen", ts=make.T0 + number,
                received=make.T0, decision=1, body=body,
            )
            for number in range(events)
        )  # fmt: skip
        tracemalloc.start()
        _, token = make_package(person, request=None, actor="user:1", why="")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert json.loads(fetched(token).read("data.json"))["counts"]["events"] == events
    assert peaks[1] < peaks[0] + 500_000, peaks
