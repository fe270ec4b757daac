"""Admin pages of integrations: add one, test it, see how it does; and the log of look-ups."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from unfold.decorators import action as page_action

from cdp.access.admin_pages import PlainAdmin, PlainList, moment
from cdp.core.clock import now_us
from cdp.core.errors import DomainError
from integrations.admin_form import COMMON, PREFIX, IntegrationForm, form_for
from integrations.admin_requests import tag
from integrations.chart import chart_of
from integrations.connection import forget_connection
from integrations.figures import HOURS, Figures, figures_of
from integrations.models import Integration
from integrations.notice import notice
from integrations.providers import PROVIDERS
from integrations.trial import try_connection

_COLOURS = {"success": "pf-good", "failed": "pf-bad", "untested": ""}


class IntegrationList(PlainList):
    """The list, each row with its figures: two queries for all."""

    def get_results(self, request: HttpRequest) -> None:
        """The page with the figures."""
        super().get_results(request)
        found = figures_of([row.pk for row in self.result_list], now=now_us())
        for row in self.result_list:
            row.figures = found[row.pk]


@admin.register(Integration)
class IntegrationAdmin(PlainAdmin):
    """Other customer data platforms that customers are looked up at."""

    list_display = ("name", "provider_name", "state", "test", "tested", "success", "hits", "p95", "last_error")
    actions_detail = ("test_connection",)
    list_before_template = "integrations/notice.html"
    change_form_before_template = "integrations/figures.html"
    readonly_fields = ("state", "test", "tested", "error")
    empty_title = "No CDP is connected"
    empty_text = "Customers are answered from our own store: from events, and from files that were imported."

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[IntegrationList]:
        """The list with figures."""
        return IntegrationList

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form of the provider."""
        provider = _provider(request, obj)
        if provider is None:
            return super().get_form(request, obj, change=change, **kwargs)
        return super().get_form(request, obj, change=change, **{**kwargs, "form": form_for(provider)})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[str | None, Any]]:
        """The provider's own lines between what all have."""
        provider = _provider(request, obj)
        lines = [PREFIX + entry.name for entry in provider.form] if provider else []
        parts: list[tuple[str | None, Any]] = [
            (provider.name if provider else None, {"fields": ["name", *lines]}),
            ("Use", {"fields": list(COMMON[1:])}),
            ("What the columns mean", {"fields": ["mapping"], "classes": ["collapse"]}),
        ]
        return parts if obj is None else [("Status", {"fields": list(self.readonly_fields)}), *parts]

    @method_decorator(sensitive_post_parameters())
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Add or change; a new one is of a provider, which is chosen first."""
        provider = _provider(request, None)
        if object_id is None and not self.has_add_permission(request):
            raise PermissionDenied
        if object_id is None and provider is None:
            return self._choose(request)
        more = dict(extra_context or {})
        if object_id is not None and object_id.isdigit():
            figures = figures_of([int(object_id)], now=now_us())[int(object_id)]
            more |= {"cards": _cards(figures), "chart": chart_of(figures.hours), **_common_context()}
        elif provider is not None:
            more["title"] = f"Connect {provider.name}"
        return super().changeform_view(request, object_id, form_url, more)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The list, below what an administrator should know."""
        return super().changelist_view(request, {**(extra_context or {}), **_common_context()})

    def save_model(self, request: HttpRequest, obj: Integration, form: IntegrationForm, change: bool) -> None:
        """Save; what was found out about the old configuration counts no longer."""
        now = now_us()
        changed = set(form.changed_data)
        if not change:
            obj.created_at, obj.created_by_id = now, request.user.pk
        if {name for name in changed if name.startswith(PREFIX)} or not change:
            obj.test_status, obj.last_tested_at = Integration.TestStatus.UNTESTED, None
        if changed:
            obj.paused_until, obj.paused_reason, obj.last_error, obj.last_error_at = 0, "", "", None
        if obj.active:
            obj.refused_at, obj.refusal_told = None, True
        obj.updated_at = now
        super().save_model(request, obj, form, change)
        transaction.on_commit(forget_connection)

    def response_add(
        self, request: HttpRequest, obj: Integration, post_url_continue: str | None = None
    ) -> HttpResponse:
        """To the test of the new connection."""
        messages.success(request, f"Saved: {obj}. Now test the connection.")
        return HttpResponseRedirect(reverse("admin:integrations_integration_test_connection", args=[obj.pk]))

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """The integrations alone: their log can have millions of rows, and goes with them."""
        allowed = self.has_delete_permission(request)
        names = [str(obj) for obj in objs]
        return names, {"integrations": len(names)}, set() if allowed else {"integration"}, []

    def delete_model(self, request: HttpRequest, obj: Integration) -> None:
        """Delete with its log."""
        self.delete_queryset(request, Integration.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Integration]) -> None:
        """Delete with their logs."""
        queryset.delete()
        transaction.on_commit(forget_connection)

    @page_action(description="Test connection", permissions=["change"], url_path="test")
    def test_connection(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a customer id, then for the customer, and say how it went."""
        row = get_object_or_404(Integration, pk=object_id if object_id.isdigit() else 0)
        context: dict[str, Any] = {}
        if request.method == "POST":
            try:
                tested = try_connection(row, request.POST.get("customer_id", "")[:200])
            except DomainError as error:
                messages.error(request, error.message)
            else:
                context["tested"] = tested
                self.record(request, f"test connection: {row.test_status}", [row])
        everything = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Test the connection of {row}",
            "integration": row,
            "back": reverse("admin:integrations_integration_change", args=[row.pk]),
            **context,
        }
        answer = TemplateResponse(request, "integrations/test.html", everything)
        answer["Cache-Control"] = "no-store"
        return answer

    @display(description="Provider")
    def provider_name(self, row: Integration) -> str:
        """As the provider calls itself."""
        provider = PROVIDERS.get(row.provider)
        return provider.name if provider else f"{row.provider} (not installed)"

    @display(description="State")
    def state(self, row: Integration) -> SafeString:
        """Whether customers are looked up there now."""
        if not settings.FEATURE_CDP_ENABLED:
            return tag("off by FEATURE_CDP_ENABLED", "pf-warn")
        if row.active and row.paused_until > now_us():
            return tag(f"left alone until {moment(row.paused_until)}", "pf-warn")
        if row.active:
            return tag("active", "pf-good")
        return tag("deactivated: credentials refused", "pf-bad") if row.refused_at else tag("off", "")

    @display(description="Last test")
    def test(self, row: Integration) -> SafeString:
        """How the last test ended."""
        return tag(row.get_test_status_display().lower(), _COLOURS[row.test_status])

    @display(description="Tested")
    def tested(self, row: Integration) -> str:
        """When it was tested last."""
        return moment(row.last_tested_at)

    @display(description="Last error")
    def error(self, row: Integration) -> str:
        """The last error with its time."""
        return f"{row.last_error} ({moment(row.last_error_at)})" if row.last_error else "–"

    @display(description="Success")
    def success(self, row: Any) -> str:
        """Of calls, in the last 24 hours."""
        return percent(row.figures.success)

    @display(description="Hit rate")
    def hits(self, row: Any) -> str:
        """Of look-ups, in the last 24 hours."""
        return percent(row.figures.hits)

    @display(description="p95")
    def p95(self, row: Any) -> str:
        """Of calls, in the last 24 hours."""
        return _ms(row.figures.p95)

    def _choose(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Add integration",
            "providers": PROVIDERS.values(),
        }
        return TemplateResponse(request, "integrations/choose.html", context)


def percent(part: float | None) -> str:
    """A rate as people read it."""
    return "–" if part is None else f"{100 * part:.1f} %"


def _cards(figures: Figures) -> list[tuple[str, str, str]]:
    """Label, value and what it means."""
    return [
        ("Look-ups", f"{figures.requests:,}", f"of the last {HOURS} hours"),
        ("Success rate", percent(figures.success), f"of {figures.calls:,} calls to the CDP"),
        ("Hit rate", percent(figures.hits), "answered without a call of their own"),
        ("p50 / p95", f"{_ms(figures.p50)} / {_ms(figures.p95)}", "of calls"),
        ("Fallbacks", f"{figures.fallbacks:,}", "the CDP was not available"),
    ]


def _ms(value: int | None) -> str:
    return "–" if value is None else f"{value:,} ms"


def _provider(request: HttpRequest, obj: Integration | None) -> Any:
    return PROVIDERS.get(obj.provider if obj is not None else request.GET.get("provider", ""))


def _common_context() -> dict[str, Any]:
    return {"notice": notice(now_us()), "feature_on": settings.FEATURE_CDP_ENABLED}
