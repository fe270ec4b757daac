"""Segments and audiences as files by REST (S8)."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from cdp.access.audit import record_read
from cdp.access.rights import rights_of
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint, parameter
from cdp.segments.api.audiences import audience_of
from cdp.segments.audience import audience_pages
from cdp.segments.definition import segment_of
from cdp.segments.export import FORMATS, PERSONAL, PLAIN, Export
from cdp.segments.members import Member, member_pages

_PARAMETERS = (
    parameter("format", "csv (default), json (one list) or jsonl (one object a line).", enum=tuple(FORMATS)),
    parameter("fields", f"Any of {', '.join((*PLAIN, *PERSONAL))}, with commas; {','.join(PLAIN)} without it."),
)
_MEDIA = tuple(media.partition(";")[0] for media in FORMATS.values())


class ExportSegment(Endpoint):
    """`segments/:id/export`."""

    needs: ClassVar[dict[str, str]] = {"POST": "export_members"}

    @endpoint("Export a segment", None, files=_MEDIA, parameters=_PARAMETERS, tag="segments")
    def post(self, request: Request, segment_id: str) -> StreamingHttpResponse:
        """All members as a stream: as they are now, also while the segment changes.

        Personal fields are masked for those who may not see them.
        """
        segment = segment_of(segment_id)
        return _file(request, "segment", segment.public_id, segment.key, member_pages(segment))


class ExportAudience(Endpoint):
    """`audiences/:id/export`."""

    needs: ClassVar[dict[str, str]] = {"POST": "export_members"}

    @endpoint("Export an audience", None, files=_MEDIA, parameters=_PARAMETERS, tag="audiences")
    def post(self, request: Request, audience_id: str) -> StreamingHttpResponse:
        """Whoever may be addressed, as a stream; those suppressed, held out or not consenting are not in it."""
        audience = audience_of(audience_id)
        pages = audience_pages(audience)
        return _file(request, "audience", audience.public_id, audience.key, pages)


def _file(
    request: Request, kind: str, public_id: Any, key: str, pages: Iterable[Sequence[Member]]
) -> StreamingHttpResponse:
    rights = rights_of(request)
    params = request.query_params
    export = Export.asked(params.get("fields", ""), params.get("format", "csv"), rights=rights)
    record_read(
        rights, object_type=kind, object_ids=[public_id], fields=export.fields, request=request, action="export"
    )
    name = f'attachment; filename="{key}.{export.format}"'
    return StreamingHttpResponse(
        export.written(pages), content_type=FORMATS[export.format], headers={"Content-Disposition": name}
    )
