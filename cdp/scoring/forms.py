"""Forms of the trait catalogue: what is wrong stands beside the field that it is wrong in."""

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import Group
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from cdp.core.errors import DomainError
from cdp.traits.calculated import FieldDefinition, check_key, checked_kind
from cdp.traits.computed import aggregate_of
from cdp.traits.models import CalculatedField, ComputedTrait, TraitDefinition


class TraitDefinitionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A line of the catalogue; the readers are ticked."""

    readers = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Only people of these groups, administrators and keys with the scope admin read it. None: everybody"
        " who may read profiles.",
    )

    class Meta:
        model = TraitDefinition
        fields: ClassVar = ["key", "type", "data_type", "classification", "readers", "description", "owner"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Group.objects.order_by("name").values_list("name", flat=True)
        self.fields["readers"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]


class CalculatedFieldForm(forms.ModelForm):  # type: ignore[type-arg]
    """A calculated field: the expression is read before it is saved."""

    expression = forms.CharField(
        widget=UnfoldAdminTextareaWidget({"rows": 4, "class": "pf-code", "spellcheck": "false"}),
        help_text="Such as <code>if(totalSpent &gt; 500, 'gold', 'basic')</code> or"
        " <code>days_since(time(joined))</code>.",
    )

    class Meta:
        model = CalculatedField
        fields: ClassVar = ["key", "expression", "description", "owner"]

    def clean(self) -> dict[str, Any]:
        """Reads the expression; what is wrong is said with its place."""
        data: dict[str, Any] = super().clean() or {}
        known = CalculatedField.objects.filter(pk=self.instance.pk).first()
        try:
            if data.get("key"):
                check_key(data["key"], besides=known)
            if data.get("key") and data.get("expression"):
                checked_kind(FieldDefinition(data["key"], data["expression"]), replaced=known)
        except DomainError as error:
            self.add_error(*_beside(error, "expression"))
        return data


class ComputedTraitForm(forms.ModelForm):  # type: ignore[type-arg]
    """A computed trait: the definition is read before it is saved."""

    definition = forms.JSONField(
        widget=UnfoldAdminTextareaWidget({"rows": 8, "class": "pf-code", "spellcheck": "false"}),
        help_text='Such as {"event": "purchase", "aggregate": "sum", "property": "revenue", "within": "90d"}.'
        " Aggregates: count, sum, avg, min, max, most_frequent, first, last, unique_list, distinct.",
    )

    class Meta:
        model = ComputedTrait
        fields: ClassVar = ["key", "definition", "description", "owner"]

    def clean(self) -> dict[str, Any]:
        """Reads the definition; what is wrong is said with its path."""
        data: dict[str, Any] = super().clean() or {}
        known = ComputedTrait.objects.filter(pk=self.instance.pk).first()
        try:
            if data.get("key"):
                check_key(data["key"], besides=known)
            if data.get("definition") is not None:
                aggregate_of(data["definition"])
        except DomainError as error:
            self.add_error(*_beside(error, "definition"))
        return data


def _beside(error: DomainError, otherwise: str) -> tuple[str, str]:
    """The field that `error` belongs to, and its sentence with the place."""
    path = str(error.details.get("path", otherwise))
    if path == "key":
        return "key", error.message
    position = error.details.get("position")
    place = f"Position {position}: " if position else f"{path}: " if path.startswith("$") else ""
    return otherwise, place + error.message
