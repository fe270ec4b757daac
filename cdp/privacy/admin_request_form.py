"""The form by which an officer opens a request for somebody."""

import json
from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from cdp.consents.purposes import purpose_names
from cdp.core.errors import DomainError
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.subject import subject_of
from cdp.privacy.wishes import wishes_of

_EVERYWHERE = ("email", "phone", "user_id", "profile_id")


class RequestForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot be subscripted here
    """What is asked, and about whom: any identifier will do. Checked as the API checks it."""

    email = forms.CharField(required=False, label="E-mail", max_length=200, widget=UnfoldAdminTextInputWidget)
    phone = forms.CharField(required=False, max_length=200, widget=UnfoldAdminTextInputWidget)
    user_id = forms.CharField(required=False, label="User id", max_length=200, widget=UnfoldAdminTextInputWidget)
    profile_id = forms.CharField(required=False, label="Profile id", max_length=200, widget=UnfoldAdminTextInputWidget)
    other_type = forms.CharField(
        required=False,
        label="Another type",
        max_length=140,
        help_text="Such as device_id, cookie_id, or external:shopify for an id of another system.",
        widget=UnfoldAdminTextInputWidget,
    )
    other_value = forms.CharField(required=False, label="Its value", max_length=200, widget=UnfoldAdminTextInputWidget)
    contact = forms.CharField(
        required=False,
        max_length=2000,
        label="How to reach whoever asks",
        help_text="For the officers. Kept encrypted; nothing is sent there by itself.",
        widget=UnfoldAdminTextInputWidget,
    )
    corrections = forms.CharField(
        required=False,
        label="What to correct (rectification)",
        help_text='JSON: {"traits": {"lastName": "King", "nickname": null}, "identifiers": {"email": "a@b.example"}}.'
        " Null deletes a trait.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"}),
    )
    purposes = forms.MultipleChoiceField(
        required=False,
        label="Purposes (objection)",
        help_text="None ticked: all marketing.",
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = PrivacyRequest
        fields: ClassVar = ["kind", "regulation"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["purposes"].choices = list(purpose_names().items())  # type: ignore[attr-defined]

    def clean_corrections(self) -> Any:
        """The decoded JSON."""
        text = self.cleaned_data["corrections"].strip()
        try:
            return json.loads(text) if text else {}
        except ValueError as error:
            raise forms.ValidationError(f"This is no JSON yet: {error}.") from error

    def clean(self) -> dict[str, Any]:
        """Check the whole as it would be opened."""
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                subject_of(self.identifiers())
                wishes_of(cleaned["kind"], self.changes())
            except DomainError as error:
                self._show(error)
        return cleaned

    def identifiers(self) -> dict[str, str]:
        """The identifiers that were given."""
        given = {name: self.cleaned_data[name].strip() for name in _EVERYWHERE}
        given[self.cleaned_data["other_type"].strip()] = self.cleaned_data["other_value"].strip()
        return {name: value for name, value in given.items() if name and value}

    def changes(self) -> dict[str, Any]:
        """What is to be changed."""
        kind = self.cleaned_data["kind"]
        if kind == PrivacyRequest.Kind.OBJECTION and not self.cleaned_data["corrections"]:
            return {"purposes": self.cleaned_data["purposes"]}
        corrections = self.cleaned_data["corrections"]
        return corrections if isinstance(corrections, dict) else {"traits": corrections}

    def _show(self, error: DomainError) -> None:
        path = str(error.details.get("path", ""))
        named = path.partition(".")[2]
        if self.cleaned_data.get("other_type", "").strip() == named and named:
            named = "other_value"
        field = named if named in self.fields else {"changes": "corrections"}.get(path.partition(".")[0])
        self.add_error(field, error.message)
