"""Admin pages of the consent ledger: its rows, their export, and stating a consent on somebody's behalf."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter, display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cdp.access.admin_audit import DayFilter
from cdp.access.admin_pages import ReadOnlyAdmin, moment
from cdp.access.rights import rights_of
from cdp.consents.export import MEDIA, export_ledger
from cdp.consents.ledger import MOST_TEXT, ConsentStatement
from cdp.consents.models import ConsentRecord
from cdp.consents.purposes import purpose_names
from cdp.core.clock import now_us, parse_time
from cdp.core.errors import DomainError
from cdp.pipeline.state_consent import state_consents
from cdp.profiles.models import Profile

_CAUSES = (
    ("statement", "A statement"),
    ("preferences", "An event's consent preferences"),
    ("gpc", "Global Privacy Control"),
    ("merge", "A merge"),
)


class PurposeFilter(SimpleListFilter):
    """By the vocabulary."""

    title, parameter_name = "purpose", "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Every purpose."""
        return list(purpose_names().items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[ConsentRecord]) -> QuerySet[ConsentRecord]:
        """The rows about the chosen one."""
        return queryset.filter(type=self.value()) if self.value() else queryset


class CauseFilter(SimpleListFilter):
    """By what made the row."""

    title, parameter_name = "cause", "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What there is."""
        return list(_CAUSES)

    def queryset(self, request: HttpRequest, queryset: QuerySet[ConsentRecord]) -> QuerySet[ConsentRecord]:
        """The rows with the chosen cause."""
        return queryset.filter(cause=self.value()) if self.value() else queryset


class StatementForm(forms.Form):
    """What somebody said, as an officer writes it down."""

    purpose = forms.ChoiceField(choices=lambda: list(purpose_names().items()))
    granted = forms.ChoiceField(choices=[("yes", "granted"), ("no", "withdrawn")])
    until = forms.DateField(required=False)
    source = forms.CharField(max_length=MOST_TEXT)
    document = forms.CharField(max_length=MOST_TEXT, required=False)
    why = forms.CharField(max_length=500)

    def statement(self) -> ConsentStatement:
        """As the ledger takes it; a grant lasts to the beginning of the day that is named."""
        said, now = self.cleaned_data, now_us()
        return ConsentStatement(
            granted=said["granted"] == "yes",
            at=now,
            expires_at=parse_time(said["until"]),
            source=said["source"],
            document=said["document"],
        )


@admin.register(ConsentRecord)
class ConsentRecordAdmin(ReadOnlyAdmin):
    """The ledger, what was written last first. Where a statement came from by address is not shown here."""

    list_display = ("when", "person", "type", "shown_granted", "until", "source", "cause", "document")
    list_filter = (DayFilter, PurposeFilter, "granted", CauseFilter)
    list_filter_submit = True
    search_fields = ("source",)  # switches the search on; `get_search_results` is what searches
    search_help_text = "A source as it was stated (“customer_portal”)"
    readonly_fields = (
        "public_id", "person", "type", "shown_granted", "when", "written", "until", "source", "document", "cause",
        "merge", "event_text",
    )  # fmt: skip
    fields = readonly_fields
    list_before_template = "consents/export.html"
    empty_title = "Nobody has said anything yet"
    empty_text = "Statements come by API (POST consents/:id), with events, or from the page of a person."

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConsentRecord]:
        """Without the encrypted part."""
        rows: QuerySet[ConsentRecord] = super().get_queryset(request).defer("body")
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ConsentRecord], search_term: str
    ) -> tuple[QuerySet[ConsentRecord], bool]:
        """By the exact source."""
        term = search_term.strip()
        return (queryset.filter(source=term) if term else queryset), False

    def get_urls(self) -> list[URLPattern]:
        """With the export, and the form on the page of a person."""
        export = path("export/", self.admin_site.admin_view(self.export), name="consents_consentrecord_export")
        state = path(
            "state/<int:person_id>/", self.admin_site.admin_view(self.state), name="consents_consentrecord_state"
        )
        urls: list[URLPattern] = super().get_urls()
        return [export, state, *urls]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the export for those who may."""
        return super().changelist_view(request, {"may_export": _may_export(request), **(extra_context or {})})

    def export(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """What the list shows, all pages of it, as a CSV file that is written while it is read."""
        if not _may_export(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        rows = self.get_changelist_instance(request).get_queryset(request)
        lines = export_ledger(rows, actor=rights_of(request).actor, asked=request.GET.urlencode())
        headers = {"Content-Disposition": 'attachment; filename="consents.csv"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(lines, content_type=MEDIA, headers=headers)

    def state(self, request: HttpRequest, person_id: int) -> HttpResponse:
        """Write down what a person said; the reason goes into the audit."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm("access.write_data"):
            raise PermissionDenied
        person = get_object_or_404(Profile, pk=person_id)
        form = StatementForm(request.POST)
        if not form.is_valid():
            wrong = "; ".join(f"{name}: {' '.join(map(str, said))}" for name, said in form.errors.items())
            messages.error(request, f"Nothing was recorded. {wrong}")
        else:
            said = form.cleaned_data
            try:
                state_consents(
                    person.public_id,
                    [said["purpose"]],
                    form.statement(),
                    actor=rights_of(request).actor,
                    why=said["why"],
                )
            except DomainError as error:
                messages.error(request, error.message)
            else:
                messages.success(request, f"Recorded: {purpose_names()[said['purpose']]}.")
        return HttpResponseRedirect(reverse("admin:profiles_profile_change", args=[person_id]) + "#consents-title")

    @display(description="Stated")
    def when(self, row: ConsentRecord) -> str:
        """When it was said."""
        return moment(row.at)

    @display(description="Written")
    def written(self, row: ConsentRecord) -> str:
        """When it was recorded."""
        return moment(row.recorded_at or row.at)

    @display(description="Until")
    def until(self, row: ConsentRecord) -> str:
        """When the grant ends."""
        return moment(row.expires_at)

    @display(description="Person")
    def person(self, row: ConsentRecord) -> SafeString:
        """The way to the person."""
        link = reverse("admin:profiles_profile_change", args=[row.profile_id])
        return format_html('<a href="{}">Profile {}</a>', link, row.profile_id)

    @display(description="Said")
    def shown_granted(self, row: ConsentRecord) -> SafeString:
        """Granted or withdrawn."""
        look, word = ("pf-good", "granted") if row.granted else ("pf-bad", "withdrawn")
        return format_html('<span class="pf-tag {}">{}</span>', look, word)

    @display(description="Event")
    def event_text(self, row: ConsentRecord) -> str:
        """The event that carried it."""
        return bytes(row.event).hex() if row.event else "–"


def _may_export(request: HttpRequest) -> bool:
    """Officers; whoever sees the list sees a page of it only."""
    user = request.user
    return user.has_perm("privacy.view_privacyrequest") and user.has_perm("consents.view_consentrecord")
