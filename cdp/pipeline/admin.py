"""Admin pages of what the pipeline does: what waits, imports, merges with their undo."""

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action as page_action

from cdp.access.admin_pages import ReadOnlyAdmin, moment
from cdp.access.rights import rights_of
from cdp.core.errors import DomainError
from cdp.pipeline import admin_quarantine  # noqa: F401 - registers its pages
from cdp.pipeline.merge import unmerge
from cdp.pipeline.models import ImportRun, InboxMessage
from cdp.profiles.models import KeepApart, Merge


@admin.register(InboxMessage)
class InboxMessageAdmin(ReadOnlyAdmin):
    """Acknowledged messages that wait for the worker. Their content is shown once they are events."""

    list_display = ("digest_text", "source_id", "when")
    readonly_fields = ("digest_text", "source_id", "when")
    fields = readonly_fields
    empty_title = "Nothing waits"
    empty_text = "Every acknowledged message has been processed. If messages pile up here, no worker is running."

    @display(description="Event id")
    def digest_text(self, row: InboxMessage) -> str:
        """The id that the event will have."""
        return bytes(row.digest).hex()

    @display(description="Received")
    def when(self, row: InboxMessage) -> str:
        """When it was acknowledged."""
        return moment(row.received)


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
