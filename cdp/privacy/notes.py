"""Notes of officers beside a request, and files that were handed in: encrypted in their rows, bounded, only added."""

import uuid

import msgspec
from django.conf import settings

from cdp.access.rights import masked
from cdp.core.clock import iso, now_us
from cdp.core.errors import Conflict, Invalid, NotFound, TooLarge
from cdp.privacy.file_types import sniffed
from cdp.privacy.models import PrivacyRequest, RequestNote
from cdp.privacy.request_body import PURPOSE
from cdp.privacy.steps import locked, record

MAX_NOTE = 10_000
MAX_FILE = 2 * 1024 * 1024
MAX_ENTRIES = 50
"""Notes and files of one request, together."""
MAX_FILES = 10


class NoteBody(msgspec.Struct, omit_defaults=True):
    """The text of a note, or the name and media type of a file."""

    text: str = ""
    name: str = ""
    media: str = ""


class NoteView(msgspec.Struct, frozen=True, rename="camel"):
    """A note, or a file (`size` is not null) with its name and type."""

    id: str
    at: str
    actor: str
    text: str
    file_name: str
    media_type: str
    size: int | None


class StoredFile(msgspec.Struct, frozen=True):
    """A file in clear."""

    name: str
    media: str
    content: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(NoteBody).decode


def add_note(request: PrivacyRequest, text: str, *, actor: str) -> RequestNote:
    """Write a note beside a request. Raises Invalid, Conflict."""
    said = text.strip().replace("\0", "")
    if not 0 < len(said) <= MAX_NOTE:
        raise Invalid(f"A note has from 1 to {MAX_NOTE} characters.", details={"path": "text"})
    return _add(request, NoteBody(text=said), None, actor=actor, action="add note")


def add_file(request: PrivacyRequest, name: str, content: bytes, *, actor: str) -> RequestNote:
    """Keep a file with a request. What it is is told by its bytes, whatever its name. Raises Invalid, TooLarge."""
    if len(content) > MAX_FILE:
        raise TooLarge(f"A file may have {MAX_FILE} bytes.", details={"path": "content"})
    media, ending = sniffed(content)
    stem = "".join(c for c in name.rpartition("/")[2].rpartition("\\")[2] if c.isprintable()).strip(" .")
    stem = stem.rpartition(".")[0] or stem
    body = NoteBody(name=f"{stem[:100] or 'file'}.{ending}", media=media)
    return _add(request, body, content, actor=actor, action="add file")


def notes_of(request: PrivacyRequest, *, clear: bool) -> list[NoteView]:
    """Every note and file, oldest first, masked unless `clear`: one query. Raises KeyMissing."""
    return [_view(row, clear=clear) for row in request.notes.defer("content")]


def view_of(row: RequestNote) -> NoteView:
    """A note or file in clear."""
    return _view(row, clear=True)


def stored_file(request: PrivacyRequest, public_id: str, *, actor: str) -> StoredFile:
    """A file of the request, with an audit entry of its being read. Raises NotFound."""
    try:
        row = request.notes.filter(public_id=uuid.UUID(public_id), size__isnull=False).first()
    except ValueError:
        row = None
    if row is None or row.content is None:
        raise NotFound("The request has no file with this id.")
    record(actor, "read file", request, fields=["content"], why=str(row.public_id))
    body = _open(row)
    return StoredFile(body.name, body.media, settings.KEYRING.decrypt(PURPOSE, row.content))


def _add(request: PrivacyRequest, body: NoteBody, content: bytes | None, *, actor: str, action: str) -> RequestNote:
    with locked(request) as row:
        if row.body is None:
            raise Conflict("The person is erased: nothing is kept with this request any more.", code="erased")
        sizes = list(row.notes.values_list("size", flat=True))
        files = sum(size is not None for size in sizes)
        if len(sizes) >= MAX_ENTRIES or (content is not None and files >= MAX_FILES):
            message = f"A request keeps at most {MAX_ENTRIES} notes and files, {MAX_FILES} of them files."
            raise Conflict(message, code="too_many_notes")
        made = RequestNote.objects.create(
            request=row,
            at=now_us(),
            actor=actor[:150],
            size=None if content is None else len(content),
            body=settings.KEYRING.encrypt(PURPOSE, _encode(body)),
            content=None if content is None else settings.KEYRING.encrypt(PURPOSE, content),
        )
        record(actor, action, row, fields=["notes"])
    return made


def _open(row: RequestNote) -> NoteBody:
    return _decode(settings.KEYRING.decrypt(PURPOSE, row.body))


def _view(row: RequestNote, *, clear: bool) -> NoteView:
    body = _open(row)
    return NoteView(
        id=str(row.public_id),
        at=iso(row.at),
        actor=row.actor,
        text=body.text if clear or not body.text else "***",
        file_name=body.name if clear or not body.name else masked(body.name),
        media_type=body.media,
        size=row.size,
    )
