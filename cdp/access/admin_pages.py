"""What the admin pages of every app share: pages that are only read, hot tables that are never counted, times."""

from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.timezone import localtime
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from cdp.core.clock import from_us

COUNT_TO = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # Django cannot be subscripted here
    """Counts to `COUNT_TO` and no further: a page of a table with millions of rows costs what a page costs.

    What lies deeper is reached by a search or a filter.
    """

    count_to = COUNT_TO
    template_name = "access/pagination.html"

    @cached_property
    def count(self) -> int:
        """The number of rows, or `COUNT_TO` when there are more."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by()[:COUNT_TO].count()


class PlainList(ChangeList):
    """A list that says how many rows match, and never counts those that do not."""

    def get_results(self, request: HttpRequest) -> None:
        """The page; the count of the whole table is taken to be that of the result."""
        super().get_results(request)
        self.full_result_count = self.result_count


class PlainAdmin(ModelAdmin):
    """The look of every admin page: no count of the whole table, and an empty page that says what would be there."""

    show_full_result_count = False
    empty_title = ""
    empty_text = ""

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        """The list without a count of the whole table."""
        return PlainList


class ReadOnlyAdmin(PlainAdmin):
    """Pages for looking, not for changing; for hot tables too: bounded, and sorted only as the index is."""

    paginator = BoundedPaginator
    list_per_page = 50
    sortable_by = ()
    list_disable_select_all = True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False


def moment(us: int | None) -> str:
    """A time as a person reads it, in the installation's time zone; a dash for none."""
    return "–" if us is None else date_format(localtime(from_us(us)), "j M Y, H:i:s")
