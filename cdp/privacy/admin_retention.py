"""Admin pages of retention policies: how long what is kept, what a run would delete, and running it."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action as page_action

from cdp.access.admin_pages import PlainAdmin, moment
from cdp.access.rights import rights_of
from cdp.core.clock import DAY, now_us
from cdp.core.errors import DomainError
from cdp.privacy.admin_retention_form import PolicyForm
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention import ask_for_run, save_policy
from cdp.privacy.retention_run import in_words, preview

_LISTING = "admin:privacy_retentionpolicy_changelist"


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(PlainAdmin):
    """How long what is kept."""

    form = PolicyForm
    list_display = ("name", "what", "keeps", "state", "last_run", "deleted")
    list_filter = ("subject", "active")
    list_select_related = ("source",)
    search_fields = ("name",)
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("name", "subject", "days", "active")}),
        ("Which of them", {"fields": ("event_names", "source", "purpose", "logs")}),
    )
    actions_detail = ("look",)
    empty_title = "Everything is kept for ever"
    empty_text = (
        "A policy says after how many days events, people without activity or request logs are deleted. Make one, look "
        "at what it would delete, then activate it. It runs every day."
    )

    def save_model(self, request: HttpRequest, obj: RetentionPolicy, form: Any, change: bool) -> None:
        """Save what was changed, recorded by `save_policy`."""
        names = form.changed_data if change else form.fields
        save_policy(obj, {name: getattr(obj, name) for name in names}, actor=rights_of(request).actor)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """`save_policy` has recorded it."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """`save_policy` has recorded it."""

    @page_action(description="What it would delete", permissions=["view"], url_path="preview")
    def look(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Count what a run now would delete; a button runs it, if the policy is active."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        policy = get_object_or_404(RetentionPolicy.objects.select_related("source"), pk=object_id)
        if request.method == "POST":
            return self._run(request, policy)
        now, problem, old = now_us(), "", None
        try:
            old = preview([policy], now=now)[policy.pk]
        except DomainError as error:
            problem = error.message
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": policy.name,
            "policy": policy,
            "what": what_in_words(policy),
            "before": moment(now - policy.days * DAY),
            "old": old,
            "words": in_words(policy, old) if old else "",
            "oldest": moment(old.oldest) if old else "",
            "problem": problem,
            "may_run": policy.active and self.has_change_permission(request),
            "change": reverse("admin:privacy_retentionpolicy_change", args=[policy.pk]),
            "listing": reverse(_LISTING),
        }
        return TemplateResponse(request, "privacy/retention_preview.html", context)

    def _run(self, request: HttpRequest, policy: RetentionPolicy) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        try:
            ask_for_run(policy, actor=rights_of(request).actor)
        except DomainError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, "The worker runs it now: look again in a moment.")
        return HttpResponseRedirect(reverse(_LISTING))

    @display(description="What")
    def what(self, policy: RetentionPolicy) -> str:
        """In words."""
        return what_in_words(policy)

    @display(description="Kept")
    def keeps(self, policy: RetentionPolicy) -> str:
        """For how long."""
        return f"{policy.days} days"

    @display(description="State")
    def state(self, policy: RetentionPolicy) -> SafeString:
        """In its colour."""
        if not policy.active:
            return format_html('<span class="pf-tag">not active</span>')
        if policy.error:
            return format_html('<span class="pf-tag pf-bad">problem</span> {}', policy.error)
        if policy.running_since is not None:
            return format_html('<span class="pf-tag pf-warn">running</span>')
        if policy.wanted_at is not None:
            return format_html('<span class="pf-tag pf-warn">about to run</span>')
        return format_html('<span class="pf-tag pf-good">active</span>')

    @display(description="Last run")
    def last_run(self, policy: RetentionPolicy) -> str:
        """When."""
        return moment(policy.last_run_at)

    @display(description="Deleted then")
    def deleted(self, policy: RetentionPolicy) -> str:
        """How many."""
        return "–" if policy.last_deleted is None else f"{policy.last_deleted:,}"


def what_in_words(policy: RetentionPolicy) -> str:
    """`Events Page Viewed, from shop, for Analytics`."""
    if policy.subject == RetentionPolicy.Subject.LOGS:
        return f"Request logs: {', '.join(policy.logs)}" if policy.logs else "All request logs"
    if policy.subject == RetentionPolicy.Subject.PROFILES:
        return "People without activity"
    parts = [f"Events {', '.join(policy.event_names)}" if policy.event_names else "Events"]
    if policy.source is not None:
        parts.append(f"from {policy.source.name}")
    if policy.purpose_id is not None:
        parts.append(f"for {policy.purpose_id}")
    return ", ".join(parts) if len(parts) > 1 or policy.event_names else "All events that no other policy names"
