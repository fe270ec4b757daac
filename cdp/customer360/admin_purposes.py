"""The admin page of the purposes of consent: what people are asked for, and what holds while nothing was said."""

import re
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.http import HttpRequest

from cdp.access.admin_pages import PlainAdmin
from cdp.consents.admin_lines import Lines
from cdp.consents.models import ConsentRecord, Purpose
from cdp.consents.purposes import LONGEST_OTHER_NAME, MOST_OTHER_NAMES, other_names, purpose_groups
from cdp.core.errors import Invalid
from cdp.segments.models import Audience, Segment

_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,29}")
_GROUP = re.compile(r"[a-z][a-z0-9_]{1,29}")
_TAKEN = ("HISTORY", "PURPOSES", "EXPORT")
"""Words of addresses below `consents/`."""


class PurposeForm(forms.ModelForm):  # type: ignore[type-arg]
    """A purpose. Code, name, groups and other names share one vocabulary, so no word means two things."""

    also_called = Lines(
        required=False,
        help_text="The names under which messages speak of it in their consent preferences, one a line: C0002,"
        f" Performance Cookies. At most {MOST_OTHER_NAMES} of {LONGEST_OTHER_NAME} characters, in any case. Several"
        " purposes may have the same: it states all of them.",
    )

    class Meta:
        model = Purpose
        fields: ClassVar = ["code", "name", "group", "also_called", "description", "unknown", "position"]

    def clean_code(self) -> str:
        """The code in capitals."""
        code = str(self.cleaned_data["code"]).strip().upper()
        if not _CODE.fullmatch(code) or code in _TAKEN:
            raise forms.ValidationError("Write 2 to 30 capital letters, digits and underscores: NEWSLETTER_PRINT.")
        if code.lower() in purpose_groups().values():
            raise forms.ValidationError("A group is called so already: its statements would mean this purpose alone.")
        return code

    def clean_group(self) -> str:
        """The group in small letters."""
        group = str(self.cleaned_data["group"]).strip().lower()
        if group and not _GROUP.fullmatch(group):
            raise forms.ValidationError("Write small letters, digits and underscores: marketing.")
        own = self.instance.pk or str(self.data.get("code", "")).strip().upper()
        if group.upper() != own and group.upper() in purpose_groups():
            raise forms.ValidationError("A purpose is called so already: choose another word for the group.")
        return group

    def clean(self) -> dict[str, Any] | None:
        """The other names, compared with every word of every purpose; once the fields are right by themselves."""
        cleaned = super().clean()
        if cleaned is None or self.errors:
            return cleaned
        try:
            cleaned["also_called"] = other_names(
                cleaned["also_called"],
                code=cleaned.get("code") or self.instance.pk,
                name=cleaned["name"],
                group=cleaned["group"],
            )
        except Invalid as refused:
            field = str(refused.details["path"])
            self.add_error(field if field in self.fields else None, refused.message)
        return cleaned


@admin.register(Purpose)
class PurposeAdmin(PlainAdmin):
    """The vocabulary of consent. A code stays; what is used or came with the product stays too."""

    form = PurposeForm
    list_display = ("code", "name", "group", "unknown", "position", "shown_builtin")
    list_filter = ("group", "unknown")
    search_fields = ("code", "name", "group")

    def get_readonly_fields(self, request: HttpRequest, obj: Purpose | None = None) -> tuple[str, ...]:
        """The code of a purpose that is there."""
        return ("code",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Purpose | None = None) -> bool:
        """Only of one that nothing uses."""
        may: bool = super().has_delete_permission(request, obj)
        return may and (obj is None or not (obj.builtin or is_used(obj)))

    @display(description="Came with the product", boolean=True)
    def shown_builtin(self, purpose: Purpose) -> bool:
        """Whether it is one of those that every installation has."""
        return purpose.builtin


def is_used(purpose: Purpose) -> bool:
    """Whether the ledger, an audience, a segment's rule or the configuration of privacy names it."""
    if (
        ConsentRecord.objects.filter(type=purpose.code).exists()
        or Audience.objects.filter(consent=purpose.code).exists()
    ):
        return True
    if any(
        relation.related_model._default_manager.filter(**{relation.field.name: purpose}).exists()
        for relation in purpose._meta.related_objects
    ):
        return True
    rules = Segment.objects.exclude(rules=None).values_list("rules", flat=True)
    return any(_names(rule, purpose.code) for rule in rules)


def _names(rule: Any, code: str) -> bool:
    """Whether a rule asks for the consent `code` anywhere."""
    if isinstance(rule, dict):
        return rule.get("consent") == code or any(_names(part, code) for part in rule.values())
    return isinstance(rule, list) and any(_names(part, code) for part in rule)
