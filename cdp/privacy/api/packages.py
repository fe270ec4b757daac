"""Access packages by REST (003's `gdpr/export/:id`), and the link by which the person downloads one."""

import uuid
from typing import ClassVar, Self

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
from cdp.privacy.package import is_being_prepared, link_of, package_of, read_package
from cdp.privacy.package_making import ask_for_package, try_again
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


class PackageView(msgspec.Struct, frozen=True, rename="camel"):
    """A package. `status` is preparing, ready, failed (`problem` says why) or expired; `size` is in bytes."""

    package_id: str
    status: str
    problem: str | None
    created_at: str
    expires_at: str | None
    size: int | None

    @classmethod
    def of(cls, row: AccessPackage) -> Self:
        """As it is now."""
        ready = row.status == AccessPackage.Status.READY
        expired = ready and (row.key is None or row.expires_at <= now_us())
        return cls(
            package_id=str(row.public_id),
            status="expired" if expired else row.status,
            problem=row.problem or None,
            created_at=iso(row.created_at),
            expires_at=iso(row.expires_at) if ready else None,
            size=row.size if ready else None,
        )


class PackageAsked(PackageView, frozen=True, kw_only=True):
    """A package that is being prepared, and the link to it, which is shown this once and works when it is ready."""

    profile_id: str
    link: str


class ExportPerson(Endpoint):
    """`gdpr/export/:id` (003)."""

    needs: ClassVar[dict[str, str]] = {"POST": "take_out"}

    @endpoint("Export customer data", PackageAsked, statuses={202: "The worker prepares it."}, tag="privacy")
    def post(self, request: Request, profile_id: str) -> Response:
        """Everything that is held about the whole person, as JSON, CSV and a readable page in one zip.

        It is prepared in the background: `privacy/packages/:id` says when it is ready. The link works from then on,
        without a key, until it expires: hand it to the person alone. The key must see personal and sensitive values in
        clear, as whoever has the link does.
        """
        person = person_of(profile_id)
        package, token = ask_for_package(person, actor=rights_of(request).actor)
        view = msgspec.structs.asdict(PackageView.of(package))
        asked = PackageAsked(**view, profile_id=str(person.public_id), link=link_of(token))
        return Response(asked, status=202)


class OnePackage(Endpoint):
    """`privacy/packages/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy"}

    @endpoint("An access package", PackageView, tag="privacy")
    def get(self, _request: Request, package_id: str) -> Response:
        """How far it is. It never says about whom."""
        return Response(PackageView.of(_package(package_id)))


class RetryPackage(Endpoint):
    """`privacy/packages/:id/retry`."""

    needs: ClassVar[dict[str, str]] = {"POST": "take_out"}

    @endpoint("Try again to make a package", PackageView, statuses={202: "The worker prepares it."}, tag="privacy")
    def post(self, request: Request, package_id: str) -> Response:
        """One that failed; its link stays the same. 409 for any other."""
        package = _package(package_id)
        try_again(package, actor=rights_of(request).actor)
        return Response(PackageView.of(package), status=202)


@require_GET
def package_by_link(request: HttpRequest, token: str) -> HttpResponse | StreamingHttpResponse:
    """The zip that a link leads to. What is unknown and what has expired look the same."""
    if not within_limit(f"package:{request.META.get('REMOTE_ADDR', '')}", LINKS_A_MINUTE):
        return _page(request, 429)
    package = package_of(token, now=now_us())
    if package is None and is_being_prepared(token):
        return _page(request, 202)
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


def _package(package_id: str) -> AccessPackage:
    try:
        found = AccessPackage.objects.filter(public_id=uuid.UUID(package_id)).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound("There is no such package.")
    return found


def _page(request: HttpRequest, status: int) -> HttpResponse:
    context = {"busy": status == 429, "preparing": status == 202}
    answer = render(request, "privacy/package_link.html", context, status=status)
    for name, value in _HEADERS.items():
        answer[name] = value
    if status != 404:
        answer["Retry-After"] = "60" if status == 429 else "10"
    return answer
