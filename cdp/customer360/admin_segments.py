"""Admin pages of segments and audiences: how they stand, who is in them, and the forms that define them."""

import copy
import json
from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from cdp.access.admin_pages import PlainAdmin, PlainList, moment
from cdp.access.audit import record_read
from cdp.access.rights import NOTHING, Rights, rights_of
from cdp.consents.purposes import purpose_names
from cdp.core.clock import now_us
from cdp.core.errors import DomainError
from cdp.customer360.masking import note, sight_of
from cdp.customer360.segment_page import HEIGHT, WIDTH, age, segment_page
from cdp.segments.definition import ask_for_sweep, define, delete_segment, new_key, prepare, users_of
from cdp.segments.export import FORMATS, PERSONAL, PLAIN, Export
from cdp.segments.members import member_pages
from cdp.segments.models import Audience, Segment
from cdp.segments.rule_rights import holds_protected, shown_rule
from cdp.segments.view import segment_views

_EXAMPLE = {
    "operator": "AND",
    "conditions": [
        {"field": "country", "operator": "in", "value": ["DE", "LT"]},
        {"event": "purchase", "aggregate": "sum", "property": "revenue", "operator": ">", "value": 150,
         "within": "90d"},
    ],
}  # fmt: skip
_LOOKS = {"ready": "pf-good", "failed": "pf-bad", "waiting": "pf-warn", "computing": "pf-warn"}


class SegmentForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot be subscripted here
    """A segment. The rule is checked as the API checks it; what is wrong with it stands beside the field.

    A rule that is masked for the holder of `rights` stays as it is.
    """

    rights: ClassVar[Rights] = NOTHING

    rules = forms.CharField(
        required=False,
        label="Rule",
        help_text="JSON, as the API takes it. Leave it empty for a list of people.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 16, "class": "pf-code", "spellcheck": "false"}),
    )

    class Meta:
        model = Segment
        fields = ("name", "key", "type", "description", "rules")
        widgets: ClassVar = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "key" in self.fields:
            self.fields["key"].required = False
            self.fields[
                "key"
            ].help_text = "How rules and the API name it; without one it is made of the name. It stays."
        shown = shown_rule(self.instance.rules, "", self.rights)[0] if self.instance.pk else _EXAMPLE
        self.initial["rules"] = _as_text(shown)
        if self.instance.pk and shown != self.instance.rules and "rules" in self.fields:
            self.fields["rules"].disabled = True
            self.fields["rules"].help_text = "A part of it is masked, because you do not have the right to see it."

    def clean_rules(self) -> Any:
        """The decoded JSON."""
        text = self.cleaned_data["rules"].strip()
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise forms.ValidationError(f"This is no JSON yet: {error}.") from error

    def clean(self) -> dict[str, Any]:
        """Check the whole as it would be saved."""
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                prepare(copy.copy(self.instance), self.said(), rights=self.rights)
            except DomainError as error:
                self._show(error)
        return cleaned

    def said(self) -> dict[str, Any]:
        """What the form says, by the names of `define`."""
        names = ("name", "key", "type", "description", "rules")
        given: dict[str, Any] = {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}
        if self.fields["rules"].disabled:
            given.pop("rules", None)
        if not given.get("key"):
            given.pop("key", None)
        return given

    def _show(self, error: DomainError) -> None:
        problems: Any = error.details.get("problems")
        if problems:
            for problem in problems:
                self.add_error("rules", f"{problem['path']}: {problem['problem']}")
            return
        where = str(error.details.get("path", ""))
        self.add_error(where if where in self.fields else "rules", error.message)


def _as_text(rule: Any) -> str:
    return "" if rule is None else json.dumps(rule, indent=2, ensure_ascii=False)


def _record_rules(request: HttpRequest, segments: Iterable[Segment]) -> None:
    held = [segment.public_id for segment in segments if holds_protected(segment.rules)]
    record_read(rights_of(request), object_type="segment", object_ids=held, fields=("rules",), request=request)


class SegmentList(PlainList):
    """The list with how fresh each segment is: one query for the page."""

    def get_results(self, request: HttpRequest) -> None:
        """The page, each segment with its view."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]  # the theme has no types
        views = segment_views(rows, now=now_us(), rights=rights_of(request))
        for segment, view in zip(rows, views, strict=True):
            segment.view = view
        _record_rules(request, rows)
        self.result_list = rows


@admin.register(Segment)
class SegmentAdmin(PlainAdmin):
    """Segments, each with its page."""

    form = SegmentForm
    list_display = ("name", "shown_type", "shown_size", "status", "behind", "computed", "in_words")
    list_filter = ("type",)
    search_fields = ("name", "key", "description")
    change_form_after_template = "segments/estimate.html"
    empty_title = "No segment yet"
    empty_text = (
        "A segment is a set of people: by a rule that is followed by itself within seconds, or by a list. "
        "Begin with a rule such as “people in Germany who bought twice in 90 days”."
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SegmentList]:
        """The list that knows how fresh segments are."""
        return SegmentList

    def get_form(self, request: HttpRequest, obj: Segment | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, as the user may see the rule."""
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"rights": rights_of(request)})

    def get_readonly_fields(self, request: HttpRequest, obj: Segment | None = None) -> tuple[str, ...]:
        """A key stays."""
        return ("key",) if obj else ()

    def get_urls(self) -> list[URLPattern]:
        """With what the page's buttons do."""
        compute = path(
            "<int:segment_id>/compute/", self.admin_site.admin_view(self.compute), name="segments_segment_compute"
        )
        export = path(
            "<int:segment_id>/export/", self.admin_site.admin_view(self.export), name="segments_segment_export"
        )
        urls: list[URLPattern] = super().get_urls()
        return [compute, export, *urls]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of a segment; with `?edit` in the address its form."""
        if request.method == "POST" or ("edit" in request.GET and self.has_change_permission(request)):
            _record_rules(request, Segment.objects.filter(pk=object_id if object_id.isdecimal() else 0))
            answer: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
            return answer
        if not self.has_view_permission(request):
            raise PermissionDenied
        segment = get_object_or_404(Segment, pk=object_id if object_id.isdecimal() else 0)
        rights = rights_of(request)
        sight = sight_of(rights)
        page = segment_page(segment, now=now_us(), clear=sight)
        ids = [line.view.id for line in page.members]
        record_read(rights, object_type="profile", object_ids=ids, fields=("name", "contact"), request=request)
        _record_rules(request, [segment])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": segment.name,
            "original": segment,
            "page": page,
            "rule": _as_text(page.view.rules),
            "look": _LOOKS[page.view.status],
            "chart_size": {"width": WIDTH, "height": HEIGHT},
            "masking": note(sight),
            "may_change": self.has_change_permission(request),
            "may_delete": self.has_delete_permission(request),
            "may_export": request.user.has_perm("segments.export_members"),
            "may_see_people": request.user.has_perm("profiles.view_profile"),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "segments/segment.html", context)

    def compute(self, request: HttpRequest, segment_id: int) -> HttpResponse:
        """Have the segment computed anew."""
        if request.method != "POST" or not self.has_change_permission(request):
            raise PermissionDenied
        ask_for_sweep(get_object_or_404(Segment, pk=segment_id))
        messages.success(request, "Everybody is looked at within seconds.")
        return HttpResponseRedirect(reverse("admin:segments_segment_change", args=[segment_id]))

    def export(self, request: HttpRequest, segment_id: int) -> StreamingHttpResponse:
        """All members as CSV, with their contacts, masked for those without the right."""
        if request.method != "POST" or not request.user.has_perm("segments.export_members"):
            raise PermissionDenied
        segment = get_object_or_404(Segment, pk=segment_id)
        rights = rights_of(request)
        export = Export(fields=(*PLAIN, *PERSONAL), rights=rights)
        record_read(
            rights,
            object_type="segment",
            object_ids=[segment.public_id],
            fields=export.fields,
            request=request,
            action="export",
        )
        name = f'attachment; filename="{segment.key}.csv"'
        return StreamingHttpResponse(
            export.written(member_pages(segment)),
            content_type=FORMATS["csv"],
            headers={"Content-Disposition": name},
        )

    def save_model(self, request: HttpRequest, obj: Segment, form: SegmentForm, change: bool) -> None:
        """Save by the one way in which segments are defined."""
        fresh = Segment.objects.get(pk=obj.pk) if change else Segment()
        define(fresh, form.said(), rights=rights_of(request))
        obj.pk = fresh.pk

    def delete_model(self, request: HttpRequest, obj: Segment) -> None:
        """Delete with all rows; refused with the reason while it is used."""
        try:
            delete_segment(obj)
        except DomainError as error:
            raise Http404(error.message) from error

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], Any, set[str], list[Any]]:
        """What goes; what uses the segment protects it."""
        users = [user for segment in objs for user in users_of(segment)]
        return [str(segment) for segment in objs], {"Segments": len(objs)}, set(), users

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Segment]) -> None:
        """One after the other, each with its rows."""
        for segment in queryset:
            delete_segment(segment)

    def response_post_save_add(self, request: HttpRequest, obj: Segment) -> HttpResponse:
        """Back to the page."""
        return HttpResponseRedirect(reverse("admin:segments_segment_change", args=[obj.pk]))

    def response_post_save_change(self, request: HttpRequest, obj: Segment) -> HttpResponse:
        """Back to the page."""
        return HttpResponseRedirect(reverse("admin:segments_segment_change", args=[obj.pk]))

    @display(description="Type", ordering="type")
    def shown_type(self, segment: Segment) -> str:
        """The type in words."""
        return segment.get_type_display()

    @display(description="Size", ordering="size")
    def shown_size(self, segment: Segment) -> str:
        """How many people."""
        return f"{segment.size:,}"

    @display(description="Status")
    def status(self, segment: Segment) -> SafeString:
        """Whether it can be relied on."""
        status = _view(segment).status
        return format_html('<span class="pf-tag {}">{}</span>', _LOOKS[status], status)

    @display(description="Behind")
    def behind(self, segment: Segment) -> str:
        """How old the oldest write is that it has not seen."""
        return age(_view(segment).freshness) or "up to date"

    @display(description="Computed", ordering="computed_at")
    def computed(self, segment: Segment) -> str:
        """When it last was brought up to date."""
        return moment(segment.computed_at)

    @display(description="Who is in it")
    def in_words(self, segment: Segment) -> str:
        """The rule in plain English, its beginning."""
        words = _view(segment).words
        return words if len(words) <= 120 else f"{words[:117]}…"


class AudienceForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot be subscripted here
    """An audience."""

    consent = forms.ChoiceField(
        required=False,
        choices=lambda: [("", "Everybody, whatever they said"), *purpose_names().items()],
        help_text="Only people who allow this: who granted it, or of whom nothing is known where the purpose says so.",
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = Audience
        fields = ("name", "key", "description", "segment", "suppressed", "hold_out", "consent")
        widgets: ClassVar = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "key" in self.fields:
            self.fields["key"].required = False

    def clean_key(self) -> str:
        """The key, or a free one made of the name."""
        given = self.cleaned_data.get("key") or None
        try:
            return new_key(Audience, given, self.cleaned_data.get("name", ""))
        except DomainError as error:
            raise forms.ValidationError(error.message) from error


@admin.register(Audience)
class AudienceAdmin(PlainAdmin):
    """Audiences: a segment without those suppressed and without the held-out share."""

    form = AudienceForm
    list_display = ("name", "segment", "segment_size", "left_out", "shown_hold_out", "shown_consent")
    list_select_related = ("segment",)
    search_fields = ("name", "key", "description")
    autocomplete_fields = ("segment", "suppressed")
    change_form_after_template = "segments/audience_size.html"
    empty_title = "No audience yet"
    empty_text = "An audience is who of a segment may be addressed: without suppression lists and without a hold-out."
    _EVER: ClassVar = ("key",)

    def get_readonly_fields(self, request: HttpRequest, obj: Audience | None = None) -> tuple[str, ...]:
        """A key stays."""
        return self._EVER if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Audience]:
        """With what is suppressed, for the whole page."""
        rows: QuerySet[Audience] = super().get_queryset(request).prefetch_related("suppressed")
        return rows

    def save_model(self, request: HttpRequest, obj: Audience, form: Any, change: bool) -> None:
        """Save, with its times."""
        obj.updated_at = now_us()
        if not change:
            obj.created_at = obj.updated_at
        super().save_model(request, obj, form, change)

    @display(description="People in the segment")
    def segment_size(self, audience: Audience) -> str:
        """Before anybody is left out."""
        return f"{audience.segment.size:,}"

    @display(description="Suppressed")
    def left_out(self, audience: Audience) -> str:
        """Whose members are left out."""
        return ", ".join(segment.name for segment in audience.suppressed.all()) or "–"

    @display(description="Hold-out", ordering="hold_out")
    def shown_hold_out(self, audience: Audience) -> str:
        """The share that is left out to compare with."""
        return f"{audience.hold_out:g} %" if audience.hold_out else "–"

    @display(description="Consent")
    def shown_consent(self, audience: Audience) -> str:
        """What must have been granted."""
        return audience.consent or "–"


def _view(segment: Segment) -> Any:
    return segment.view  # type: ignore[attr-defined]  # set by SegmentList for the page
