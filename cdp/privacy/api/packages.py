"""Access packages by REST (003's `gdpr/export/:id`), and the link by which the person downloads one."""

from typing import ClassVar

import msgspec
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.rights import rights_of
from cdp.access.throttles import within_limit
from cdp.core.clock import iso, now_us
from cdp.core.errors import NotFound
from cdp.privacy.models import AccessPackage
from cdp.privacy.package import link_of, make_package, package_of, read_package
from cdp.profiles.people import person_of
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint

LINKS_A_MINUTE = 20
"""Links that one address may try."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


class PackageMade(msgspec.Struct, frozen=True, rename="camel"):
    """A package and the link to it, which is shown this once. `size` is in bytes."""

    package_id: str
    profile_id: str
    link: str
    created_at: str
    expires_at: str
    size: int


class ExportPerson(Endpoint):
    """`gdpr/export/:id` (003)."""

    needs: ClassVar[dict[str, str]] = {"POST": "take_out"}

    @endpoint("Export customer data", PackageMade, statuses={201: "Made."}, tag="privacy")
    def post(self, request: Request, profile_id: str) -> Response:
        """Everything that is held about the whole person, as JSON, CSV and a readable page in one zip.

        The link works without a key until it expires: hand it to the person alone. The key must see personal and
        sensitive values in clear, as whoever has the link does.
        """
        person = person_of(profile_id)
        package, token = make_package(person, request=None, actor=rights_of(request).actor, why="asked for by the API")
        return Response(
            PackageMade(
                package_id=str(package.public_id),
                profile_id=str(person.public_id),
                link=link_of(token),
                created_at=iso(package.created_at),
                expires_at=iso(package.expires_at),
                size=package.size,
            ),
            status=201,
        )


@require_GET
def package_by_link(request: HttpRequest, token: str) -> HttpResponse | StreamingHttpResponse:
    """The zip that a link leads to. What is unknown and what has expired look the same."""
    if not within_limit(f"package:{request.META.get('REMOTE_ADDR', '')}", LINKS_A_MINUTE):
        return _page(request, 429)
    package = package_of(token, now=now_us())
    try:
        return _page(request, 404) if package is None else package_file(package, actor="link", why="")
    except NotFound:
        return _page(request, 404)


def package_file(package: AccessPackage, *, actor: str, why: str) -> StreamingHttpResponse:
    """The zip as a download. Raises NotFound."""
    answer = StreamingHttpResponse(
        read_package(package, actor=actor, why=why),
        content_type="application/zip",
        headers={**_HEADERS, "Content-Disposition": 'attachment; filename="your-data.zip"'},
    )
    answer["Content-Length"] = str(package.size)
    return answer


def _page(request: HttpRequest, status: int) -> HttpResponse:
    answer = render(request, "privacy/package_link.html", {"busy": status == 429}, status=status)
    for name, value in _HEADERS.items():
        answer[name] = value
    if status == 429:
        answer["Retry-After"] = "60"
    return answer
