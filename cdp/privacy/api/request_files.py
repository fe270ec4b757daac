"""Notes and files of a request by REST."""

import base64
import binascii
from typing import ClassVar

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.rights import rights_of
from cdp.core.errors import Invalid
from cdp.privacy.api.requests import TAG
from cdp.privacy.file_answer import file_answer
from cdp.privacy.notes import NoteView, add_file, add_note, stored_file, view_of
from cdp.privacy.requests import request_of
from cdp.rest.body import read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint


class NoteGiven(msgspec.Struct):
    """The text of a note."""

    text: str


class FileGiven(msgspec.Struct):
    """A PDF, PNG, JPEG, WebP or text file of up to 2 MiB: its name, and its bytes in base64."""

    name: str
    content: str


class RequestNotes(Endpoint):
    """`privacy/requests/:id/notes`."""

    needs: ClassVar[dict[str, str]] = {"POST": "privacy"}

    @endpoint(
        "Add a note to a privacy request",
        NoteView,
        body=NoteGiven,
        statuses={201: "Added."},
        example={"text": "Called back on Monday."},
        tag=TAG,
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Kept encrypted, and gone when the person is erased."""
        body = read_body(request, NoteGiven)
        made = add_note(request_of(request_id), body.text, actor=rights_of(request).actor)
        return Response(view_of(made), status=201)


class RequestFiles(Endpoint):
    """`privacy/requests/:id/files`."""

    needs: ClassVar[dict[str, str]] = {"POST": "privacy"}

    @endpoint(
        "Add a file to a privacy request",
        NoteView,
        body=FileGiven,
        statuses={201: "Added."},
        example={"name": "letter.txt", "content": "UGxlYXNlIGRlbGV0ZSBtZS4="},
        tag=TAG,
    )
    def post(self, request: Request, request_id: str) -> Response:
        """What it is is told by its bytes. Kept encrypted, and gone when the person is erased."""
        body = read_body(request, FileGiven)
        try:
            content = base64.b64decode(body.content, validate=True)
        except (ValueError, binascii.Error):
            raise Invalid("`content` must be base64.", details={"path": "content"}) from None
        made = add_file(request_of(request_id), body.name, content, actor=rights_of(request).actor)
        return Response(view_of(made), status=201)


class RequestFile(Endpoint):
    """`privacy/requests/:id/files/:fileId`."""

    needs: ClassVar[dict[str, str]] = {"GET": "take_out"}

    @endpoint("Download a file of a privacy request", None, files=["application/octet-stream"], tag=TAG)
    def get(self, request: Request, request_id: str, file_id: str) -> HttpResponse:
        """As an attachment; each download is recorded."""
        found = stored_file(request_of(request_id), file_id, actor=rights_of(request).actor)
        return file_answer(found.name, found.media, found.content)
