"""Admin pages of requests: what must be answered until when, and a page for each with the steps that are possible."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter, display
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cdp.access.admin_pages import PlainAdmin, moment
from cdp.access.audit import record_read
from cdp.access.rights import Rights, rights_of
from cdp.core.clock import DAY, now_us
from cdp.core.errors import DomainError, NotFound
from cdp.privacy.admin_request_form import RequestForm
from cdp.privacy.admin_request_page import deadline_look, request_page
from cdp.privacy.alerts import deadlines, left_in_words
from cdp.privacy.carrying import start
from cdp.privacy.deadlines import OPEN, days_left
from cdp.privacy.file_answer import file_answer
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.notes import add_file, add_note, stored_file
from cdp.privacy.requests import cancel_request, extend_request, open_request, reject_request, verify_request
from cdp.privacy.steps import OBJECT
from cdp.privacy.verification import send_link

LOOKS = {
    PrivacyRequest.Status.UNVERIFIED: "pf-warn",
    PrivacyRequest.Status.PENDING: "pf-warn",
    PrivacyRequest.Status.PARTIAL: "pf-bad",
    PrivacyRequest.Status.COMPLETED: "pf-good",
}
_DONE = {
    "verify": "Verified. It can be carried out now.",
    "send-link": "A link is on its way to the address that the person's profile holds.",
    "reject": "Rejected.",
    "cancel": "Cancelled.",
    "extend": "The deadline was extended.",
    "note": "The note was added.",
    "file": "The file was added.",
}


class DeadlineFilter(SimpleListFilter):
    """By how long there is still."""

    title, parameter_name = "deadline", "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The choices."""
        return [("open", "Not answered yet"), ("week", "Due within 7 days, or late"), ("late", "Late")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PrivacyRequest]) -> QuerySet[PrivacyRequest]:
        """The open ones, the next deadline first."""
        now = now_us()
        before = {"week": now + 7 * DAY, "late": now}.get(self.value() or "")
        if self.value() not in ("open", "week", "late"):
            return queryset
        rows = queryset.filter(status__in=OPEN).order_by("due_at", "id")
        return rows if before is None else rows.filter(due_at__lte=before)


@admin.register(PrivacyRequest)
class PrivacyRequestAdmin(PlainAdmin):
    """Requests of people about their data."""

    form = RequestForm
    list_display = ("shown_kind", "state", "deadline", "received", "regulation", "channel", "verified")
    list_filter = (DeadlineFilter, "status", "kind", "regulation")
    search_fields = ("public_id",)  # switches the search on; `get_search_results` is what searches
    search_help_text = "The id of a request, or of a profile"
    list_before_template = "privacy/deadlines.html"
    list_per_page = 50
    sortable_by = ()
    fieldsets = (
        ("What is asked", {"fields": ("kind", "regulation")}),
        ("About whom – any of these will do", {
            "fields": ("email", "phone", "user_id", "profile_id", "other_type", "other_value"),
        }),
        ("More", {"fields": ("contact", "corrections", "purposes")}),
    )  # fmt: skip
    empty_title = "Nobody has asked yet"
    empty_text = (
        "When somebody asks what you hold about them, or to have it corrected, handed over or deleted, open a request "
        "here or by POST privacy/requests. It is verified before anything happens, and you are told before its "
        "deadline."
    )

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody: that somebody asked is kept."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """With the download of files."""
        view = self.admin_site.admin_view(self.download)
        urls: list[URLPattern] = super().get_urls()
        return [path("<int:number>/files/<str:file_id>/", view, name="privacy_privacyrequest_file"), *urls]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PrivacyRequest], search_term: str
    ) -> tuple[QuerySet[PrivacyRequest], bool]:
        """By id: of the request, or of any profile of the person."""
        if not search_term.strip():
            return queryset, False
        try:
            wanted = uuid.UUID(search_term.strip())
        except ValueError:
            return queryset.none(), False
        mine = queryset.filter(public_id=wanted)
        if mine.exists():
            return mine, False
        return queryset.filter(person__person__fragments__public_id=wanted).distinct(), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with what is due above it."""
        return super().changelist_view(request, {"deadlines": deadlines(now_us()), **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: PrivacyRequest, form: Any, change: bool) -> None:
        """Open it, or find the one that is open already."""
        found = open_request(
            form.cleaned_data["kind"],
            form.identifiers(),
            regulation=form.cleaned_data["regulation"],
            channel="console",
            actor=rights_of(request).actor,
            contact=form.cleaned_data["contact"],
            changes=form.changes(),
        )
        obj.pk, obj.public_id, obj.duplicate = found.pk, found.public_id, found.duplicate

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """`open_request` has recorded it."""

    def response_add(self, request: HttpRequest, obj: PrivacyRequest, post_url_continue: str | None = None) -> Any:
        """Its page."""
        if obj.duplicate:
            messages.warning(request, "The same was asked before and is still open: this is it.")
        else:
            messages.success(request, "The request was opened.")
        return HttpResponseRedirect(_address(obj.pk))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Everything about a request, and the steps that are possible now."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(PrivacyRequest.objects.select_related("person__person"), pk=_number(object_id))
        rights = rights_of(request)
        if request.method == "POST":
            if not self.has_change_permission(request):
                raise PermissionDenied
            self._take(request, row, rights)
            return HttpResponseRedirect(_address(row.pk))
        page = request_page(row, rights=rights, now=now_us())
        if row.body is not None:
            fields = ("identifiers", "contact", "changes", "notes")
            record_read(rights, object_type=OBJECT, object_ids=[row.public_id], fields=fields, request=request)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{row.get_kind_display()} request",
            "original": row,
            "page": page,
            "look": LOOKS.get(PrivacyRequest.Status(row.status), ""),
            "may_change": self.has_change_permission(request),
            "may_see_people": request.user.has_perm("profiles.view_profile"),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "privacy/request.html", context)

    def download(self, request: HttpRequest, number: int, file_id: str) -> HttpResponse:
        """A file, to be saved; recorded."""
        rights = rights_of(request)
        if not self.has_change_permission(request) or not rights.sees_personal:
            raise PermissionDenied
        try:
            found = stored_file(get_object_or_404(PrivacyRequest, pk=number), file_id, actor=rights.actor)
        except NotFound as error:
            raise Http404(error.message) from None
        return file_answer(found.name, found.media, found.content)

    def _take(self, request: HttpRequest, row: PrivacyRequest, rights: Rights) -> None:
        """Take the step that the form names, and say what came of it."""
        step = request.POST.get("step", "")
        try:
            _steps(request, row, rights.actor)[step]()
        except KeyError:
            messages.error(request, "There is no such step.")
        except DomainError as error:
            messages.error(request, error.message)
        else:
            row.refresh_from_db()
            running = "The worker carries it out now: look again in a moment."
            carried = row.outcome if row.status == PrivacyRequest.Status.COMPLETED else running
            messages.success(request, _DONE.get(step, carried))

    @display(description="Request")
    def shown_kind(self, row: PrivacyRequest) -> str:
        """The kind."""
        return row.get_kind_display()

    @display(description="Status")
    def state(self, row: PrivacyRequest) -> SafeString:
        """The status in its colour."""
        look = LOOKS.get(PrivacyRequest.Status(row.status), "")
        return format_html('<span class="pf-tag {}">{}</span>', look, row.get_status_display())

    @display(description="Deadline")
    def deadline(self, row: PrivacyRequest) -> SafeString:
        """How long there is still, in words and colour, and the day."""
        left = days_left(row, now=now_us())
        if left is None:
            return format_html('<span class="pf-muted">answered {}</span>', moment(row.ended_at))
        return format_html(
            '<span class="pf-tag {}">{}</span> <span class="pf-muted">{}</span>',
            deadline_look(left),
            left_in_words(left),
            moment(row.due_at),
        )

    @display(description="Received")
    def received(self, row: PrivacyRequest) -> str:
        """When it came."""
        return moment(row.created_at)

    @display(description="Verified", boolean=True)
    def verified(self, row: PrivacyRequest) -> bool:
        """Whether whoever asks is known to be the person."""
        return row.verified_at is not None


def _steps(request: HttpRequest, row: PrivacyRequest, actor: str) -> dict[str, Callable[[], object]]:
    given = request.POST.get
    reason = given("reason", "")
    days = given("days", "")
    upload = request.FILES.get("file")
    return {
        "verify": lambda: verify_request(row, by=actor, how=given("how", "") or " "),
        "send-link": lambda: send_link(row, actor=actor),
        "process": lambda: start(row, actor=actor),
        "extend": lambda: extend_request(row, days=_number(days), actor=actor, reason=reason),
        "reject": lambda: reject_request(row, actor=actor, reason=reason),
        "cancel": lambda: cancel_request(row, actor=actor, reason=reason),
        "note": lambda: add_note(row, given("text", ""), actor=actor),
        "file": lambda: add_file(
            row, upload.name or "" if upload else "", upload.read() if upload else b"", actor=actor
        ),
    }


def _address(number: int) -> str:
    return reverse("admin:privacy_privacyrequest_change", args=[number])


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
