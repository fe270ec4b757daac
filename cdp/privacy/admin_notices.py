"""Admin page of what the controllers of OpenDSR requests are told, so that one who cannot be reached is seen."""

from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cdp.access.admin_pages import ReadOnlyAdmin, moment
from cdp.core.clock import now_us
from cdp.privacy.models import ControllerNotice


@admin.register(ControllerNotice)
class ControllerNoticeAdmin(ReadOnlyAdmin):
    """Callbacks, newest first."""

    list_display = ("about", "url", "told", "state", "attempts", "next_try", "error")
    list_filter = ("settled",)
    list_select_related = ("request",)
    fields = readonly_fields = ("about", "url", "version", "told", "state", "attempts", "next_try", "error")
    actions = ("try_again",)
    empty_title = "No controller was told anything yet"
    empty_text = (
        "A controller that sends a request by OpenDSR with `status_callback_urls` is told of every change. Here you "
        "see whom we could not reach."
    )

    def has_try_permission(self, request: HttpRequest) -> bool:
        """Whoever carries out requests."""
        return request.user.has_perm("privacy.change_privacyrequest")

    @admin.action(description="Try again now", permissions=["try"])
    def try_again(self, request: HttpRequest, rows: QuerySet[ControllerNotice]) -> None:
        """Forget that it failed."""
        chosen = list(rows.exclude(error=""))
        count = rows.exclude(error="").update(settled=False, attempts=0, next_at=now_us())
        self.record(request, "try again", chosen)
        messages.success(request, f"{count} will be told within seconds, if they can be reached.")

    @display(description="Request")
    def about(self, row: ControllerNotice) -> SafeString:
        """Its page."""
        address = reverse("admin:privacy_privacyrequest_change", args=[row.request_id])
        return format_html('<a href="{}">{}</a>', address, row.request.external_id or row.request.public_id)

    @display(description="State")
    def state(self, row: ControllerNotice) -> SafeString:
        """Whether it knows."""
        if row.settled:
            look, word = ("pf-bad", "given up") if row.error else ("pf-good", "knows the end")
        else:
            look, word = ("pf-warn", "tried again") if row.error else ("", "is kept told")
        return format_html('<span class="pf-tag {}">{}</span>', look, word)

    @display(description="Next try")
    def next_try(self, row: ControllerNotice) -> str:
        """When, after a failure."""
        return moment(row.next_at) if row.error and not row.settled else "–"
