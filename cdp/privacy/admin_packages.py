"""Admin pages of access packages: what was made for whom, whether it was fetched, and its download by an officer."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cdp.access.admin_pages import ReadOnlyAdmin, moment
from cdp.access.rights import rights_of
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, NotFound
from cdp.privacy.api.packages import package_file
from cdp.privacy.models import AccessPackage
from cdp.privacy.package_making import try_again


@admin.register(AccessPackage)
class AccessPackageAdmin(ReadOnlyAdmin):
    """Packages, newest first."""

    list_display = ("made", "state", "whose", "answers", "shown_size", "fetches", "fetched")
    list_select_related = ("request",)
    empty_title = "No package yet"
    empty_text = (
        "A package holds everything about one person, as JSON, tables and a readable page. It is made when a request "
        "for access or portability is carried out, or by POST gdpr/export."
    )

    def get_urls(self) -> list[URLPattern]:
        """With the download."""
        download = path(
            "<int:number>/download/", self.admin_site.admin_view(self.download), name="privacy_accesspackage_download"
        )
        urls: list[URLPattern] = super().get_urls()
        return [download, *urls]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessPackage]:
        """With the person, for the whole page."""
        rows: QuerySet[AccessPackage] = super().get_queryset(request).prefetch_related("person")
        return rows

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What is known of a package, and the button that downloads it, or has it made again when that failed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(AccessPackage, pk=object_id if object_id.isdecimal() else 0)
        if request.method == "POST":
            if not _may_download(request):
                raise PermissionDenied
            try:
                try_again(row, actor=rights_of(request).actor)
                messages.info(request, "The worker prepares it within seconds.")
            except Conflict as error:
                messages.warning(request, error.message)
            return HttpResponseRedirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Access package",
            "original": row,
            "made": self.made(row),
            "state": self.state(row),
            "whose": self.whose(row),
            "answers": self.answers(row),
            "size": self.shown_size(row),
            "until": moment(row.expires_at) if row.status == AccessPackage.Status.READY else "–",
            "fetched": self.fetched(row),
            "there": row.key is not None and row.expires_at > now_us(),
            "may_download": _may_download(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "privacy/package_admin.html", context)

    def download(self, request: HttpRequest, number: int) -> Any:
        """The zip, for whoever carries out requests and sees everything in clear; recorded."""
        if not _may_download(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        package = get_object_or_404(AccessPackage, pk=number, expires_at__gt=now_us(), key__isnull=False)
        try:
            return package_file(package, actor=rights_of(request).actor, why="downloaded in the console")
        except NotFound as error:
            raise Http404(error.message) from None

    @display(description="Made")
    def made(self, row: AccessPackage) -> str:
        """When."""
        return moment(row.created_at)

    @display(description="Link")
    def state(self, row: AccessPackage) -> SafeString:
        """Whether it can still be fetched."""
        if row.status == AccessPackage.Status.PREPARING:
            return format_html('<span class="pf-tag">being prepared</span>')
        if row.status == AccessPackage.Status.FAILED:
            return format_html('<span class="pf-tag pf-bad">failed</span>')
        if row.key is None or row.expires_at <= now_us():
            return format_html('<span class="pf-tag">expired</span>')
        return format_html('<span class="pf-tag pf-good">until {}</span>', moment(row.expires_at))

    @display(description="Person")
    def whose(self, row: AccessPackage) -> SafeString:
        """The person's page."""
        address = reverse("admin:profiles_profile_change", args=[row.person_id])
        return format_html('<a href="{}">{}</a>', address, str(row.person.public_id)[:13])

    @display(description="Answers")
    def answers(self, row: AccessPackage) -> SafeString | str:
        """The request, if it was made for one."""
        if row.request is None:
            return "no request"
        address = reverse("admin:privacy_privacyrequest_change", args=[row.request.pk])
        return format_html('<a href="{}">{}</a>', address, row.request.get_kind_display())

    @display(description="Size")
    def shown_size(self, row: AccessPackage) -> str:
        """Of the zip."""
        return filesizeformat(row.size) if row.status == AccessPackage.Status.READY else "–"

    @display(description="Last download")
    def fetched(self, row: AccessPackage) -> str:
        """When it was downloaded last."""
        return moment(row.fetched_at)


def _may_download(request: HttpRequest) -> bool:
    return request.user.has_perm("privacy.change_privacyrequest") and rights_of(request).sees_all
