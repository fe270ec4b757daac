"""The form of a retention policy."""

from typing import Any, ClassVar

from django import forms
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from cdp.core.errors import Invalid
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention import check_policy
from cdp.privacy.retention_logs import logs

_FIELDS = {"eventNames": "event_names"}


class NamesField(forms.CharField):
    """A list of names, one on each line."""

    widget = UnfoldAdminTextareaWidget({"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        """The lines that the form shows."""
        return "\n".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the lines say something else."""
        changed: bool = self.to_python(data) != (initial or [])
        return changed

    def to_python(self, value: Any) -> Any:
        """The lines that are not blank."""
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def validate(self, value: Any) -> None:
        """`check_policy` does."""

    def run_validators(self, value: Any) -> None:
        """`check_policy` does."""


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot be subscripted here
    """A policy, checked as the API checks it."""

    event_names = NamesField(
        required=False,
        label="Events",
        help_text="Names of events, or types such as PAGE_VIEW, one a line. Empty: every event.",
    )
    logs = forms.MultipleChoiceField(
        required=False,
        help_text="For request logs. None ticked: every log that no other policy names.",
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = RetentionPolicy
        fields: ClassVar = ["name", "subject", "days", "event_names", "source", "purpose", "logs", "active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "logs" in self.fields:
            self.fields["logs"].choices = [(log.name, log.label) for log in logs().values()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Check the whole as `save_policy` does."""
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                check_policy(RetentionPolicy(**{name: cleaned[name] for name in self.Meta.fields}))
            except Invalid as error:
                path = str(error.details.get("path", ""))
                field = _FIELDS.get(path, path)
                self.add_error(field if field in self.fields else None, error.message)
        return cleaned
