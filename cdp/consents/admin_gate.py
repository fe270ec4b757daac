"""The admin page of the gate: which messages are for which purpose, and what becomes of them without consent."""

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from cdp.access.admin_pages import PlainAdmin
from cdp.access.models import Source
from cdp.consents.admin_lines import Lines
from cdp.consents.models import GateRule

CALLS = ("track", "page", "screen", "identify", "group", "alias")
MOST_NAMES = 200
_KINDS = [("", "Both kinds of source"), *Source.Kind.choices]


class GateRuleForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot be subscripted here
    """A rule: its names of events one on each line."""

    calls = forms.MultipleChoiceField(
        choices=[(call, call) for call in CALLS],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None: every call.",
    )
    names = Lines(
        required=False,
        help_text=f"Names of events, exactly as they are sent, one a line, at most {MOST_NAMES}. Empty: every name.",
    )
    source_kind = forms.ChoiceField(choices=_KINDS, required=False, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = GateRule
        fields = ("purpose", "calls", "names", "source_kind", "action", "active")

    def clean_names(self) -> list[str]:
        """The names. Refused when there are too many, or one is too long."""
        names: list[str] = self.cleaned_data["names"]
        if len(names) > MOST_NAMES or any(len(name) > MOST_NAMES for name in names):
            raise forms.ValidationError(f"At most {MOST_NAMES} names of {MOST_NAMES} characters: make several rules.")
        return names


@admin.register(GateRule)
class GateRuleAdmin(PlainAdmin):
    """What a person's consent decides about messages that come in."""

    form = GateRuleForm
    list_display = ("messages", "purpose", "outcome", "active")
    list_filter = ("purpose", "action", "active")
    list_select_related = ("purpose",)
    empty_title = "Every message is let through"
    empty_text = (
        "Without a rule nobody's consent is looked at when messages come in. Add one, for example: page views of"
        " browser sources are for analytics; not stored without consent."
    )

    @display(description="Messages")
    def messages(self, rule: GateRule) -> str:
        """Which messages the rule is for."""
        calls = ", ".join(rule.calls) or "every call"
        names = f" named {', '.join(rule.names)}" if rule.names else ""
        return f"{calls}{names}" + (f" from a {rule.source_kind}" if rule.source_kind else "")

    @display(description="Without consent")
    def outcome(self, rule: GateRule) -> str:
        """What becomes of them."""
        return rule.get_action_display()
