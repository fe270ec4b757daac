"""Admin pages of the trait catalogue, of calculated fields and of computed traits."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from cdp.access.admin_pages import PlainAdmin, moment
from cdp.core.clock import now_us
from cdp.lake.fields.functions import FUNCTIONS, OPERATORS
from cdp.lake.measures import MEASURES
from cdp.scoring.forms import CalculatedFieldForm, ComputedTraitForm, TraitDefinitionForm
from cdp.scoring.preview import sample
from cdp.scoring.uncatalogued import uncatalogued_keys
from cdp.traits.calculated import FieldDefinition, delete_field, save_field, users_of
from cdp.traits.catalogue import forget_catalogue
from cdp.traits.computed import ComputedDefinition, aggregate_of, delete_computed, save_computed
from cdp.traits.models import CalculatedField, ComputedProgress, ComputedTrait, TraitDefinition


@admin.register(TraitDefinition)
class TraitDefinitionAdmin(PlainAdmin):
    """What a trait means, who owns it, and who may see it. What has no line here is judged by how it looks."""

    form = TraitDefinitionForm
    list_before_template = "scoring/catalogue_link.html"
    list_display = ("key", "type", "data_type", "classification", "read_by", "owner", "description")
    list_filter = ("classification", "type", "data_type")
    search_fields = ("key", "description", "owner")
    empty_title = "The catalogue is empty"
    empty_text = "Describe a trait, so that others know what it means and who may see it."

    @display(description="Readers")
    def read_by(self, row: TraitDefinition) -> str:
        """The groups that may read it."""
        return ", ".join(row.readers) or "everybody"

    def get_urls(self) -> list[URLPattern]:
        """With the keys that are not in the catalogue."""
        more = path("uncatalogued/", self.admin_site.admin_view(self.uncatalogued), name="traits_uncatalogued")
        urls: list[URLPattern] = super().get_urls()
        return [more, *urls]

    def uncatalogued(self, request: HttpRequest) -> HttpResponse:
        """Keys that people have and nobody has described, the most frequent first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Not in the catalogue",
            "keys": uncatalogued_keys(),
            "may_add": self.has_add_permission(request),
        }
        return TemplateResponse(request, "scoring/uncatalogued.html", context)

    def save_model(self, request: HttpRequest, obj: TraitDefinition, form: Any, change: bool) -> None:
        """Save; this process shows by the new classification at once, others within seconds."""
        super().save_model(request, obj, form, change)
        forget_catalogue()

    def delete_model(self, request: HttpRequest, obj: TraitDefinition) -> None:
        """Delete; this process forgets the classification at once, others within seconds."""
        super().delete_model(request, obj)
        forget_catalogue()


@admin.register(CalculatedField)
class CalculatedFieldAdmin(PlainAdmin):
    """Traits that are calculated from others when they are read."""

    form = CalculatedFieldForm
    list_display = ("key", "expression", "kind", "owner", "description")
    search_fields = ("key", "expression", "description", "owner")
    readonly_fields = ("kind", "language")
    fields = ("key", "expression", "kind", "description", "owner", "language")
    list_disable_select_all = True
    actions = None
    empty_title = "No field is calculated"
    empty_text = "A calculated field is an expression over traits and measures, such as ltv / purchaseCount."

    @display(description="What an expression may use")
    def language(self, _row: CalculatedField) -> SafeString:
        """Functions, operators and measures."""
        every = [(known.usage, known.words) for known in {**OPERATORS, **FUNCTIONS}.values()]
        every += [(name, measure.words) for name, measure in MEASURES.items() if measure.local]
        return format_html_join("", "<div><code>{}</code> {}</div>", every)

    def save_model(self, request: HttpRequest, obj: CalculatedField, form: Any, change: bool) -> None:
        """Save what the form has checked."""
        wanted = FieldDefinition(obj.key, obj.expression, obj.description, obj.owner)
        obj.pk = save_field(wanted, field=CalculatedField.objects.get(pk=obj.pk) if change else None).pk

    def delete_model(self, request: HttpRequest, obj: CalculatedField) -> None:
        """Delete it, unless another one uses it."""
        delete_field(obj)

    def has_delete_permission(self, request: HttpRequest, obj: CalculatedField | None = None) -> bool:
        """Not while another field uses it."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not users_of(obj.key))


@admin.register(ComputedTrait)
class ComputedTraitAdmin(PlainAdmin):
    """Traits that are computed from events."""

    form = ComputedTraitForm
    list_display = ("key", "words", "kind", "status", "owner")
    search_fields = ("key", "words", "description", "owner")
    readonly_fields = ("words", "kind", "status", "preview")
    fields = ("key", "definition", "words", "kind", "status", "description", "owner", "preview")
    list_disable_select_all = True
    actions = None
    empty_title = "No trait is computed"
    empty_text = "A computed trait counts, adds up or picks out what people did, such as their revenue of 90 days."

    @display(description="Status")
    def status(self, row: ComputedTrait) -> str:
        """Whether everybody has a value of the definition, and when values were last brought up to date."""
        if row._state.adding:
            return "–"
        progress = ComputedProgress.objects.get(pk=1)
        if progress.error:
            return f"Failed {moment(progress.error_at)}: {progress.error}"
        if row.computed_version != row.version:
            return "Being computed"
        return f"Up to date, {moment(progress.computed_at)}"

    @display(description="Values for the people who came last")
    def preview(self, row: ComputedTrait) -> SafeString | str:
        """Twenty people, computed now."""
        if row._state.adding:
            return "–"
        values = sample(aggregate_of(row.definition), now=now_us())
        shown = [(one.profile_id, "–" if one.value is None else str(one.value)) for one in values]
        return format_html_join("", "<div><code>{}</code> {}</div>", shown) or "There is nobody yet."

    def save_model(self, request: HttpRequest, obj: ComputedTrait, form: Any, change: bool) -> None:
        """Save what the form has checked; values follow within seconds."""
        wanted = ComputedDefinition(obj.key, obj.definition, obj.description, obj.owner)
        obj.pk = save_computed(wanted, trait=ComputedTrait.objects.get(pk=obj.pk) if change else None).pk

    def delete_model(self, request: HttpRequest, obj: ComputedTrait) -> None:
        """Delete it with its values."""
        delete_computed(obj)

    def has_delete_permission(self, request: HttpRequest, obj: ComputedTrait | None = None) -> bool:
        """Not while a calculated field uses it."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not users_of(obj.key))
