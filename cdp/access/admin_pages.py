"""What the admin pages of every app share: changes are recorded, hot tables are never counted, how times look."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.timezone import localtime
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from cdp.access.audit import record_change
from cdp.access.rights import rights_of
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


class NamedChanges(list[dict[str, Any]]):
    """The admin's own description of a change, with the names of the fields beside their labels."""

    names: Sequence[str] = ()


class RecordedAdmin(ModelAdmin):
    """Every change that is made through a page leaves an audit entry, in its transaction, with the names of the fields.

    This is the one place for adding, changing, deleting and setting a password; an action of one's own calls `record`,
    and `note` where the admin's own history should tell of it too.
    """

    def record(
        self, request: HttpRequest, action: str, rows: Iterable[Model], *, fields: Iterable[str] = (), why: str = ""
    ) -> None:
        """Write one entry for what was done to `rows`, in the transaction of the change; nothing without rows."""
        ids = [getattr(row, "public_id", None) or row.pk for row in rows]
        if ids:
            actor, kind = rights_of(request).actor, self.opts.model_name
            record_change(actor, action=action, object_type=kind, object_ids=ids, fields=fields, why=why)

    def note(self, request: HttpRequest, row: Model, text: str) -> None:
        """Write `text` into the admin's own history of a row: what was done has been recorded by `record`."""
        super().log_change(request, row, text)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """What the admin's history shows, with the names of the fields for the audit."""
        message = NamedChanges(super().construct_change_message(request, form, formsets, add))
        inlines = [part for formset in formsets or () for part in formset.forms if part.has_changed()]
        names = {f"{part.instance._meta.model_name}.{name}" for part in inlines for name in part.changed_data}
        message.names = sorted({*(form.fields if add else form.changed_data), *names})
        return message

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record what was added."""
        self.record(request, "add", [obj], fields=_names(message))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record what was changed; nothing when the form was saved as it was."""
        names = _names(message)
        if names or isinstance(message, str):
            self.record(request, "change", [obj], fields=names)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Record what is about to be deleted."""
        self.record(request, "delete", queryset)
        return super().log_deletions(request, queryset)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list. What an action does, and its entry, are one transaction."""
        with one_transaction(request):
            answer: HttpResponse = super().changelist_view(request, extra_context)
            return answer


def one_transaction(request: HttpRequest) -> AbstractContextManager[Any]:
    """A transaction for what a form does; none for a page that is only looked at."""
    return transaction.atomic() if request.method == "POST" else nullcontext()


def _names(message: object) -> Sequence[str]:
    return message.names if isinstance(message, NamedChanges) else ()


class PlainAdmin(RecordedAdmin):
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
