"""Admin pages of what the pipeline does: what waits, imports, merges with their undo."""

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action as page_action

from cdp.access.admin_pages import ReadOnlyAdmin, moment
from cdp.access.models import Source
from cdp.access.rights import rights_of
from cdp.core.clock import DAY, from_us
from cdp.core.errors import DomainError
from cdp.pipeline import admin_consents, admin_quarantine  # noqa: F401 - registers its pages
from cdp.pipeline.merge import unmerge
from cdp.pipeline.models import Counter, ImportRun, InboxMessage
from cdp.pipeline.outcomes import KINDS, outcome_text
from cdp.pipeline.spool import collect_spool
from cdp.profiles.models import KeepApart, Merge


class SourceFilter(admin.SimpleListFilter):
    """By the source that they came from."""

    title = "source"
    parameter_name = "source"

    def lookups(self, _request: HttpRequest, _model_admin: object) -> list[tuple[str, str]]:
        """Every source."""
        return [(str(pk), name) for pk, name in Source.objects.order_by("name").values_list("pk", "name")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Counter]) -> QuerySet[Counter]:
        """Those of the chosen one."""
        value = self.value() or ""
        return queryset.filter(source_id=int(value)) if value.isdecimal() and len(value) < 10 else queryset


class KindFilter(admin.SimpleListFilter):
    """By what became of them."""

    title = "outcome"
    parameter_name = "kind"

    def lookups(self, _request: HttpRequest, _model_admin: object) -> list[tuple[str, str]]:
        """The kinds of outcomes."""
        return list(KINDS.items())

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Counter]) -> QuerySet[Counter]:
        """Those of the chosen kind."""
        value = self.value() or ""
        return queryset.filter(outcome__startswith=value) if value in KINDS else queryset


@admin.register(InboxMessage)
class InboxMessageAdmin(ReadOnlyAdmin):
    """Acknowledged messages that wait for the worker. Their content is shown once they are events."""

    list_display = ("digest_text", "source_id", "when")
    readonly_fields = ("digest_text", "source_id", "when")
    fields = readonly_fields
    empty_title = "Nothing waits"
    empty_text = "Every acknowledged message has been processed. If messages pile up here, no worker is running."

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboxMessage]:
        """All of them, those too that the door has left in a file of its own."""
        collect_spool()
        rows: QuerySet[InboxMessage] = super().get_queryset(request)
        return rows

    @display(description="Event id")
    def digest_text(self, row: InboxMessage) -> str:
        """The id that the event will have."""
        return bytes(row.digest).hex()

    @display(description="Received")
    def when(self, row: InboxMessage) -> str:
        """When it was acknowledged."""
        return moment(row.received)


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin):
    """What became of the messages of each source, day by day: also how many each rule of consent stopped."""

    list_display = ("date", "source", "told", "count")
    list_display_links = None
    list_filter = (SourceFilter, KindFilter)
    ordering = ("-day", "source_id", "outcome")
    empty_title = "No message came yet"
    empty_text = "Each source's messages are counted here by day: stored, refused, or stopped by consent."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Counter]:
        """With the name of the source."""
        name = Source.objects.filter(pk=OuterRef("source_id")).values("name")
        found: QuerySet[Counter] = super().get_queryset(request).annotate(source_name=Subquery(name))
        return found

    @display(description="Day (UTC)", ordering="day")
    def date(self, row: Counter) -> str:
        """The day."""
        return from_us(row.day * DAY).strftime("%Y-%m-%d")

    @display(description="Source", ordering="source_id")
    def source(self, row: Counter) -> str:
        """The name of the source, or its number when it is gone."""
        name: str | None = row.source_name  # type: ignore[attr-defined]  # annotated above
        return name or f"source {row.source_id}"

    @display(description="What became of them", ordering="outcome")
    def told(self, row: Counter) -> str:
        """The outcome in words."""
        return outcome_text(row.outcome)


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    """Imports of files: how far they got and what they found."""

    list_display = (
        "path",
        "kind",
        "status",
        "offset",
        "accepted",
        "duplicates",
        "rejected",
        "started_at",
        "updated_at",
    )
    list_filter = ("status", "kind")
    empty_title = "Nothing was imported yet"
    empty_text = "Import a file: manage.py import_file PATH --kind customers --map email=email"


@admin.register(Merge)
class MergeAdmin(ReadOnlyAdmin):
    """Which profiles are one person, why, and the way back."""

    list_display = ("when", "cause", "strategy", "target_link", "source_link", "active", "actor")
    list_filter = ("cause", "active")
    list_select_related = ("target", "source")
    readonly_fields = (
        "public_id", "when", "cause", "strategy", "target_link", "source_link", "active", "undone", "event_link",
        "actor",
    )  # fmt: skip
    fields = readonly_fields
    actions_detail = ("undo",)
    empty_title = "Nobody was merged yet"
    empty_text = "When an event shows that two profiles are one person, the merge appears here with its cause."

    @display(description="When")
    def when(self, merge: Merge) -> str:
        """The time of the merge."""
        return moment(merge.created_at)

    @display(description="Undone")
    def undone(self, merge: Merge) -> str:
        """The time of its undoing."""
        return moment(merge.undone_at)

    @display(description="Older profile")
    def target_link(self, merge: Merge) -> str:
        """The profile whose person the other joined."""
        return _profile_link(merge.target_id, str(merge.target.public_id))

    @display(description="Joined profile")
    def source_link(self, merge: Merge) -> str:
        """The profile that joined."""
        return _profile_link(merge.source_id, str(merge.source.public_id))

    @display(description="Event")
    def event_link(self, merge: Merge) -> str:
        """The event that caused it."""
        if merge.event is None:
            return "–"
        digest = bytes(merge.event).hex()
        return format_html('<a href="{}?q={}">{}</a>', reverse("admin:events_event_changelist"), digest, digest)

    @page_action(description="Undo this merge", permissions=["undo"], url_path="undo")
    def undo(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then separate the people exactly; they stay apart until somebody merges them by hand."""
        merge = get_object_or_404(Merge.objects.select_related("target__person", "source"), pk=object_id)
        if not self.has_undo_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Undo a merge",
                "merge": merge,
                "when": moment(merge.created_at),
                "back": reverse("admin:profiles_profile_change", args=[merge.target.person_id]),
            }
            return TemplateResponse(request, "pipeline/undo_merge.html", context)
        try:
            people = unmerge(merge.public_id, actor=rights_of(request).actor)
        except DomainError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, f"Undone: these are {len(people)} people now, and they stay apart.")
        return HttpResponseRedirect(reverse("admin:profiles_profile_change", args=[merge.target_id]))

    def has_undo_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """Who may merge people may separate them."""
        return request.user.has_perm("access.merge_people")


@admin.register(KeepApart)
class KeepApartAdmin(ReadOnlyAdmin):
    """Pairs that an undone merge keeps apart, until somebody merges them by hand."""

    list_display = ("first_link", "second_link", "since", "lifted")
    list_select_related = ("first", "second")
    empty_title = "Nobody is kept apart"
    empty_text = "When a merge is undone, the two people stay apart whatever arrives later. Such pairs appear here."

    @display(description="One")
    def first_link(self, pair: KeepApart) -> str:
        """One of the two profiles."""
        return _profile_link(pair.first_id, str(pair.first.public_id))

    @display(description="The other")
    def second_link(self, pair: KeepApart) -> str:
        """The other profile."""
        return _profile_link(pair.second_id, str(pair.second.public_id))

    @display(description="Since")
    def since(self, pair: KeepApart) -> str:
        """When they were separated."""
        return moment(pair.created_at)

    @display(description="Lifted")
    def lifted(self, pair: KeepApart) -> str:
        """When a merge by hand lifted it."""
        return moment(pair.lifted_at)


def _profile_link(pk: int, text: str) -> str:
    return format_html('<a href="{}">{}</a>', reverse("admin:profiles_profile_change", args=[pk]), text)
