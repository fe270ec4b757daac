"""The admin page of the audit: search, filters, export, and whether it verifies."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin import ListFilter, SimpleListFilter, display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.urls import URLPattern, path

from cdp.access.admin_pages import PlainList, ReadOnlyAdmin, moment
from cdp.access.audit_export import FORMATS, export_audit
from cdp.access.audit_search import actor_names, actors_called, moment_of
from cdp.access.models import AuditEntry, AuditHead, AuditQuerySet
from cdp.access.rights import rights_of
from cdp.core.clock import MINUTE, now_us
from cdp.core.errors import Invalid

_LATEST = 5000
_LATE = 2 * MINUTE


class AuditList(PlainList):
    """The list with the names of the actors: two queries for the whole page."""

    def get_results(self, request: HttpRequest) -> None:
        """The page."""
        super().get_results(request)
        names = actor_names(entry.actor for entry in self.result_list)
        for entry in self.result_list:
            entry.actor_name = names.get(entry.actor, "")


class _InUse(SimpleListFilter):
    """The values that a column has in the latest entries: the table may be too large to look for all."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The values in use."""
        column = str(self.parameter_name)
        latest = AuditEntry.objects.order_by("-at", "-id").values_list(column, flat=True)[:_LATEST]
        return [(value, value) for value in sorted(set(latest))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """The entries with the chosen value."""
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class ActionFilter(_InUse):
    """By what was done."""

    title, parameter_name = "action", "action"


class TypeFilter(_InUse):
    """By what it was done to."""

    title, parameter_name = "kind of object", "object_type"


class DayFilter(ListFilter):
    """From one day to another, both included."""

    title = "day"
    template = "access/day_filter.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.days = {name: _last(params.pop(name, "")) for name in ("from", "to")}

    def has_output(self) -> bool:
        """Always."""
        return True

    def expected_parameters(self) -> list[str | None]:
        """The names in the address."""
        return ["from", "to"]

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """What the two fields hold."""
        yield dict(self.days)

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """The entries of those days; what is no day is left out."""
        for name, lookup in (("from", "at__gte"), ("to", "at__lte")):
            try:
                us = moment_of(self.days[name], name, end=name == "to")
            except Invalid:
                continue
            queryset = queryset.filter(**{lookup: us}) if us is not None else queryset
        return queryset


def _last(given: Any) -> str:
    return str(given[-1] if isinstance(given, list) else given).strip()


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who changed what, and who saw or exported whose personal data."""

    list_display = ("when", "who", "action", "object_type", "what", "field_names", "address")
    list_filter = (DayFilter, ActionFilter, TypeFilter)
    search_fields = ("actor",)  # switches the search on; `get_search_results` is what searches
    search_help_text = "Who (a user name, the name of a key, user:7) or the id of what it was about"
    readonly_fields = (
        "when", "who", "action", "object_type", "object_ids", "fields", "why", "request_id", "address", "place",
    )  # fmt: skip
    fields = readonly_fields
    list_filter_submit = True
    list_before_template = "access/audit_status.html"
    empty_title = "Nothing was recorded yet"
    empty_text = "Every change by hand, and every view and export of personal data, leaves an entry here."

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[AuditList]:
        """The list that knows names."""
        return AuditList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """By actor, if one is called so; else by the id of an object."""
        term = search_term.strip()
        if not term:
            return queryset, False
        by = queryset.filter(actor__in=actors_called(term))
        if by.exists():
            return by, False
        assert isinstance(queryset, AuditQuerySet)
        return queryset.about(term), False

    def get_urls(self) -> list[URLPattern]:
        """With the export."""
        export = path("export/", self.admin_site.admin_view(self.export), name="access_auditentry_export")
        urls: list[URLPattern] = super().get_urls()
        return [export, *urls]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the state of the chain above it."""
        return super().changelist_view(request, {"chain": chain_status(now_us()), **(extra_context or {})})

    def export(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """What the list shows, all pages of it, as a file that is written while it is read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = request.POST.get("format", "")
        if request.method != "POST" or form not in FORMATS:
            return HttpResponseNotAllowed(["POST"])
        rows = self.get_changelist_instance(request).get_queryset(request)
        lines = export_audit(rows, form, actor=rights_of(request).actor, asked=request.GET.urlencode())
        headers = {"Content-Disposition": f'attachment; filename="audit.{form}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(lines, content_type=FORMATS[form], headers=headers)

    @display(description="When")
    def when(self, entry: AuditEntry) -> str:
        """The time."""
        return moment(entry.at)

    @display(description="Who")
    def who(self, entry: AuditEntry) -> str:
        """The actor, and its name if it has one."""
        name = getattr(entry, "actor_name", None)
        if name is None:
            name = actor_names([entry.actor]).get(entry.actor, "")
        return f"{name} ({entry.actor})" if name else entry.actor

    @display(description="Whose, which")
    def what(self, entry: AuditEntry) -> str:
        """The first id and how many more."""
        ids = entry.object_ids
        return f"{ids[0]} and {len(ids) - 1} more" if len(ids) > 1 else "".join(ids) or "–"

    @display(description="Fields")
    def field_names(self, entry: AuditEntry) -> str:
        """The first few names."""
        more = len(entry.fields) - 4
        return ", ".join(entry.fields[:4]) + (f" and {more} more" if more > 0 else "") or "–"


def chain_status(now: int) -> dict[str, Any]:
    """What is shown of the chain at `now` (µs): three cheap queries."""
    head = AuditHead.objects.filter(pk=1).first()
    waiting = AuditEntry.objects.filter(place=None).order_by("id")
    oldest = waiting.values_list("at", flat=True).first()
    return {
        "head": head,
        "verified": moment(head.verified_at) if head else "–",
        "problem": head.problem if head else "The row that says where the chain ends is missing.",
        "waiting": waiting[:1000].count(),
        "late": oldest is not None and oldest < now - _LATE,
        "since": moment(oldest),
    }
