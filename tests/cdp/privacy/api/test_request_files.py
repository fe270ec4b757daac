"""Notes and files beside a request."""

import base64

import pytest
from django.test import Client

from cdp.access.models import AuditEntry
from cdp.privacy.models import RequestNote
from cdp.privacy.notes import MAX_FILE, MAX_FILES
from tests.calling import BASE, Api

pytestmark = pytest.mark.django_db

PDF = b"%PDF-1.7 of Zeldaquix"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.fixture
def api():
    return Api("admin")


@pytest.fixture
def address(api):
    return "privacy/requests/" + api.post("privacy/requests", {"type": "access", "userId": "user123"})[1]["id"]


def handed_in(api, address, name, content):
    return api.post(f"{address}/files", {"name": name, "content": base64.b64encode(content).decode()})


def test_a_note_is_read_with_the_request(api, address):
    assert api.post(f"{address}/notes", {"text": " Zeldaquix called back. "})[0] == 201
    [note] = api.get(address)[1]["notes"]
    assert (note["text"], note["actor"], note["size"]) == ("Zeldaquix called back.", f"key:{api.row.pk}", None)
    assert b"Zeldaquix" not in bytes(RequestNote.objects.get().body)
    for text in ("", " ", "x" * 10_001):
        assert api.post(f"{address}/notes", {"text": text})[0] == 400


def test_a_file_comes_back_as_it_was(api, address):
    status, made = handed_in(api, address, "../Passport of Zelda.exe", PDF)
    assert (status, made["fileName"], made["mediaType"], made["size"]) == (
        201, "Passport of Zelda.pdf", "application/pdf", len(PDF),
    )  # fmt: skip
    row = RequestNote.objects.get()
    assert b"Zelda" not in bytes(row.content) + bytes(row.body)
    answer = Client().get(f"{BASE}{address}/files/{made['id']}", headers={"X-API-Key": api.key})
    assert (answer.status_code, answer.content) == (200, PDF)
    assert {name: answer.headers[name] for name in ("Content-Type", "X-Content-Type-Options", "Cache-Control")} == {
        "Content-Type": "application/pdf", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
    }  # fmt: skip
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''Passport%20of%20Zelda.pdf"
    entry = AuditEntry.objects.get(action="read file")
    assert (entry.actor, entry.why) == (f"key:{api.row.pk}", made["id"])
    assert "Zelda" not in repr(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0 jpeg", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("Prašau ištrinti.\n".encode(), "text/plain; charset=utf-8"),
        (b"<script>alert(1)</script>", "text/plain; charset=utf-8"),
    ],
)
def test_what_a_file_is_is_told_by_its_bytes(api, address, content, media):
    assert handed_in(api, address, "x.pdf", content)[1]["mediaType"] == media


@pytest.mark.parametrize("content", [b"", b"MZ\x90\0", b"PK\x03\x04", b"\xff\xfe", b"GIF89a\0\0"])
def test_other_files_are_refused(api, address, content):
    status, refused = handed_in(api, address, "x.txt", content)
    assert (status, refused["code"]) == (400, "unusable_file")


def test_size_and_number_are_bounded(api, address):
    assert handed_in(api, address, "x", b"x" * MAX_FILE)[0] == 201
    assert handed_in(api, address, "x", b"x" * (MAX_FILE + 1))[0] == 413
    for _ in range(MAX_FILES - 1):
        assert handed_in(api, address, "x", b"x")[0] == 201
    assert handed_in(api, address, "x", b"x")[1]["code"] == "too_many_notes"
    assert api.post(f"{address}/notes", {"text": "A note still goes."})[0] == 201


def test_a_file_belongs_to_its_request(api, address):
    made = handed_in(api, address, "x", PDF)[1]
    other = "privacy/requests/" + api.post("privacy/requests", {"type": "access", "userId": "other"})[1]["id"]
    assert api.get(f"{other}/files/{made['id']}")[0] == 404
    assert api.get(f"{address}/files/nonsense")[0] == 404
    assert api.post(f"{address}/files", {"name": "x", "content": "%%%"})[1]["code"] == "invalid"
