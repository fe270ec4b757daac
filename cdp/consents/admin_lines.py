"""A field of the admin's forms for several texts: one on each line."""

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget


class Lines(forms.Field):
    """A list of texts as a text area: trimmed, each once, empty lines left out."""

    widget = UnfoldAdminTextareaWidget

    def widget_attrs(self, widget: forms.Widget) -> dict[str, object]:
        """As high as a few texts."""
        return {**super().widget_attrs(widget), "rows": 4}

    def prepare_value(self, value: object) -> object:
        """A list as lines; what somebody wrote as it is."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: object) -> list[str]:
        """The texts."""
        lines = value if isinstance(value, list) else str(value or "").splitlines()
        return list(dict.fromkeys(line.strip() for line in lines if line.strip()))

    def has_changed(self, initial: object, data: object) -> bool:
        """Whether other texts than `initial` are meant: browsers end lines differently from what they were shown."""
        return self.to_python(initial) != self.to_python(data)
