"""Admin page of the log of look-ups."""

from django.contrib import admin
from django.contrib.admin import display
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cdp.access.admin_pages import ReadOnlyAdmin, moment
from integrations.models import RequestLog
from integrations.provider import REASONS


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdmin):
    """Look-ups, newest first, without anybody's name."""

    list_display = ("when", "integration", "customer_hash", "outcome", "status", "ms", "cached", "called")
    list_filter = ("integration", "cached", "called", "error")
    list_select_related = ("integration",)
    fields = readonly_fields = ("when", "integration", "customer_hash", "outcome", "status", "ms", "cached", "called")
    empty_title = "Nobody was looked up yet"
    empty_text = "Every look-up at a connected CDP leaves a line here: how long it took and how it ended."

    @display(description="When")
    def when(self, row: RequestLog) -> str:
        """The time of the look-up."""
        return moment(row.at)

    @display(description="Customer (hash)")
    def customer_hash(self, row: RequestLog) -> str:
        """Enough to see repetitions."""
        return bytes(row.customer).hex()[:12]

    @display(description="Outcome")
    def outcome(self, row: RequestLog) -> SafeString:
        """Whether it went well, or why not."""
        if row.error:
            return tag(row.error, "pf-bad", REASONS.get(row.error, ""))
        return tag("answered", "pf-good")


def tag(text: str, colour: str, title: str = "") -> SafeString:
    """A short word in a colour of the console."""
    return format_html('<span class="pf-tag {}" title="{}">{}</span>', colour, title, text)
