"""Admin pages of suppressed identifiers: who is kept out, found by the value, and let in again for a reason."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from cdp.access.admin_pages import ReadOnlyAdmin, moment
from cdp.access.rights import rights_of
from cdp.core.errors import DomainError
from cdp.identities.models import SuppressedIdentifier
from cdp.identities.suppression import KINDS
from cdp.privacy.api.suppressed import suppressed_called
from cdp.privacy.lift import MOST_TEXT, lift_suppression

_LISTING = "admin:identities_suppressedidentifier_changelist"


class LiftedFilter(admin.SimpleListFilter):
    """Those that are kept out now, or were let in again."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The two states."""
        return [("active", "Kept out"), ("lifted", "Let in again")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """The rows of the chosen state."""
        return queryset.filter(lifted_at__isnull=self.value() == "active") if self.value() else queryset


@admin.register(SuppressedIdentifier)
class SuppressedAdmin(ReadOnlyAdmin):
    """Identifiers of erased people. The values are not known: only digests."""

    list_display = ("shown", "type", "since", "state", "request")
    list_filter = (LiftedFilter, "type")
    list_select_related = ("type",)
    list_before_template = "privacy/find_suppressed.html"
    empty_title = "Nobody is kept out"
    empty_text = "When a person is erased, their user ids, e-mails, phones and external ids are kept out from then on."

    @display(description="Digest")
    def shown(self, row: SuppressedIdentifier) -> str:
        """The first half of it."""
        return f"{bytes(row.digest).hex()[:16]}…"

    @display(description="Kept out since")
    def since(self, row: SuppressedIdentifier) -> str:
        """When."""
        return moment(row.created_at)

    @display(description="State")
    def state(self, row: SuppressedIdentifier) -> str:
        """In words."""
        return "Kept out" if row.lifted_at is None else f"Let in again {moment(row.lifted_at)}"

    def get_urls(self) -> list[URLPattern]:
        """With the search by a value, which never stands in an address."""
        find = path("find/", self.admin_site.admin_view(self.find), name="identities_suppressedidentifier_find")
        urls: list[URLPattern] = super().get_urls()
        return [find, *urls]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the form that finds a value above it."""
        return super().changelist_view(request, {"kinds": KINDS, **(extra_context or {})})

    def find(self, request: HttpRequest) -> HttpResponse:
        """To the page of a value that is kept out."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        given = {name: request.POST.get(name, "")[:300] for name in ("type", "value", "namespace")}
        try:
            row = suppressed_called(given["type"], given["value"], given["namespace"])
        except DomainError as error:
            messages.warning(request, error.message)
            return HttpResponseRedirect(reverse(_LISTING))
        return HttpResponseRedirect(reverse("admin:identities_suppressedidentifier_change", args=[row.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Since when and for what; a form with a reason that lets it in again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        number = int(object_id) if object_id.isdecimal() and len(object_id) < 19 else 0
        row = get_object_or_404(SuppressedIdentifier.objects.select_related("type"), pk=number)
        may_lift = row.lifted_at is None and request.user.has_perm("identities.change_suppressedidentifier")
        problem = ""
        if request.method == "POST":
            if not may_lift:
                raise PermissionDenied
            try:
                lift_suppression(row, actor=rights_of(request).actor, why=request.POST.get("reason", ""))
            except DomainError as error:
                problem = error.message
            else:
                messages.success(request, "Let in again: whoever sends this identifier is somebody new.")
                return HttpResponseRedirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Suppressed {row.type}",
            "row": row,
            "digest": bytes(row.digest).hex(),
            "since": moment(row.created_at),
            "lifted": moment(row.lifted_at),
            "may_lift": may_lift,
            "problem": problem,
            "most": MOST_TEXT,
            "listing": reverse(_LISTING),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "privacy/suppressed.html", context)
