"""Admin pages of legal holds: place one on a person found by any identifier, and release it."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter, display
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from cdp.access.admin_pages import PlainAdmin, PlainList, moment
from cdp.access.audit_search import actor_names
from cdp.access.rights import rights_of
from cdp.core.errors import DomainError
from cdp.customer360.search import people_found
from cdp.privacy.holds import MOST_TEXT, place_hold, release_hold
from cdp.privacy.models import LegalHold
from cdp.profiles.models import Profile

_LISTING = "admin:privacy_legalhold_changelist"


class HoldForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot be subscripted here
    """Whom to hold, by any identifier, and why."""

    who = forms.CharField(
        label="Person",
        max_length=200,
        help_text="The id of a profile, or an identifier: user id, e-mail, phone, device, external id.",
        widget=UnfoldAdminTextInputWidget,
    )
    reason = forms.CharField(
        max_length=MOST_TEXT,
        help_text="Name the matter, such as the number of the case. It is kept in clear: not the person's name.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )

    class Meta:
        model = LegalHold
        fields: ClassVar = ["reason"]

    def clean_who(self) -> Profile:
        """The one person that it finds."""
        found = people_found(self.cleaned_data["who"])
        if len(found) != 1:
            raise forms.ValidationError(
                "Several people have this: give the id of a profile." if found else "Nobody has this identifier."
            )
        return Profile.objects.get(pk=found[0])


class StateFilter(SimpleListFilter):
    """Whether it still holds."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The choices."""
        return [("active", "Held"), ("released", "Released")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LegalHold]) -> QuerySet[LegalHold]:
        """Those."""
        if self.value() not in ("active", "released"):
            return queryset
        return queryset.filter(released_at__isnull=self.value() == "active")


class HoldList(PlainList):
    """The list, with the person as it is now: one query for all."""

    def get_results(self, request: HttpRequest) -> None:
        """The page."""
        super().get_results(request)
        held = [hold.person_id for hold in self.result_list]
        people = {row[0]: row[1:] for row in Profile.objects.filter(pk__in=held).values_list(
            "pk", "person_id", "person__public_id"
        )}  # fmt: skip
        names = actor_names(hold.created_by for hold in self.result_list)
        for hold in self.result_list:
            hold.person_now = people.get(hold.person_id)
            hold.by_name = names.get(hold.created_by, hold.created_by)


@admin.register(LegalHold)
class LegalHoldAdmin(PlainAdmin):
    """People whose data must be kept."""

    form = HoldForm
    fields = ("who", "reason")
    list_display = ("reason", "state", "who_is_held", "since", "placed_by")
    list_filter = (StateFilter,)
    list_per_page = 50
    sortable_by = ()
    empty_title = "Nobody is held"
    empty_text = (
        "Place a hold on a person whose data must be kept, for a dispute or an inquiry: neither a deletion nor "
        "retention touches it until you release the hold. Identifiers and consents may still change."
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PlainList]:
        """The list that knows people."""
        return HoldList

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: a hold is released, and that it was is kept."""
        return False

    def save_model(self, request: HttpRequest, obj: LegalHold, form: Any, change: bool) -> None:
        """Place it."""
        placed = place_hold(
            form.cleaned_data["who"], reason=form.cleaned_data["reason"], actor=rights_of(request).actor
        )
        obj.pk, obj.public_id = placed.pk, placed.public_id

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """`place_hold` has recorded it."""

    def response_add(self, request: HttpRequest, obj: LegalHold, post_url_continue: str | None = None) -> HttpResponse:
        """Its page."""
        messages.success(request, "The person is held from now on.")
        return HttpResponseRedirect(reverse("admin:privacy_legalhold_change", args=[obj.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The hold, and a form that releases it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        number = int(object_id) if object_id.isascii() and object_id.isdigit() and len(object_id) < 19 else 0
        hold = get_object_or_404(LegalHold, pk=number)
        if request.method == "POST":
            if not self.has_change_permission(request):
                raise PermissionDenied
            try:
                release_hold(hold, actor=rights_of(request).actor, why=request.POST.get("why", ""))
            except DomainError as error:
                messages.error(request, error.message)
            else:
                messages.success(request, "Released.")
            return HttpResponseRedirect(reverse("admin:privacy_legalhold_change", args=[hold.pk]))
        names = actor_names([hold.created_by, hold.released_by])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Legal hold",
            "hold": hold,
            "person": Profile.objects.filter(pk=hold.person_id).select_related("person").first(),
            "since": moment(hold.created_at),
            "placed_by": names.get(hold.created_by, hold.created_by),
            "released": moment(hold.released_at),
            "released_by": names.get(hold.released_by, hold.released_by),
            "may_release": hold.released_at is None and self.has_change_permission(request),
            "may_see_people": request.user.has_perm("profiles.view_profile"),
            "most": MOST_TEXT,
            "listing": reverse(_LISTING),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "privacy/hold.html", context)

    @display(description="State")
    def state(self, hold: LegalHold) -> SafeString:
        """In its colour."""
        if hold.released_at is None:
            return format_html('<span class="pf-tag pf-warn">held</span>')
        return format_html('<span class="pf-tag">released {}</span>', moment(hold.released_at))

    @display(description="Person")
    def who_is_held(self, hold: LegalHold) -> str:
        """The public id of the person as they are now."""
        now = getattr(hold, "person_now", None)
        return str(now[1]) if now else "– (gone)"

    @display(description="Since")
    def since(self, hold: LegalHold) -> str:
        """When it was placed."""
        return moment(hold.created_at)

    @display(description="Placed by")
    def placed_by(self, hold: LegalHold) -> str:
        """Who placed it."""
        return str(getattr(hold, "by_name", hold.created_by))
