"""Admin pages of who may do what: users and groups, sources with their write keys, API keys."""

import re
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import action, display
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import TabularInline
from unfold.decorators import action as page_action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from cdp.access import admin_audit  # noqa: F401 - registers its page
from cdp.access.admin_pages import PlainAdmin, ReadOnlyAdmin, one_transaction
from cdp.access.audit import record_change
from cdp.access.keys import SCOPES, add_api_key, add_write_key, forget_keys
from cdp.access.models import PROTECTED, ApiKey, FieldRight, Source, User, WriteKey
from cdp.access.rights import forget_exceptions, rights_of

admin.site.unregister(Group)

_ORIGIN = re.compile(r"https?://(\*\.)?[a-zA-Z0-9.-]+(:\d{1,5})?")
_SCOPE_TEXTS = {
    "ingest": "ingest – send events",
    "read": "read – everything, in clear what is ticked below",
    "read_masked": "read_masked – everything, personal and sensitive data masked",
    "write": "write – change profiles, traits, events and consents",
    "admin": "admin – all of these",
}


@admin.register(User)
class UserAdmin(DjangoUserAdmin, PlainAdmin):  # type: ignore[type-arg]
    """People who sign in. What they may do comes from their groups."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "roles", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "groups")
    fieldsets = (
        (None, {"fields": ("username", "password", "first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "is_staff")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With the groups, so that the list needs no query per row."""
        return super().get_queryset(request).prefetch_related("groups")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """The page that sets a password: it and its entry are one transaction."""
        with one_transaction(request):
            answer: HttpResponse = super().user_change_password(request, id, form_url)
            return answer

    @display(description="Groups")
    def roles(self, user: User) -> str:
        """The names of the user's groups."""
        return ", ".join(group.name for group in user.groups.all()) or "–"


class FieldRightInline(TabularInline):
    """Single fields that the people of a group see, or do not see, whatever the fields' classification says."""

    model = FieldRight
    extra = 0
    fields = ("field", "kind")


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, PlainAdmin):  # type: ignore[misc]  # the stubs differ in a name
    """Roles: what the people of a group may see and do."""

    inlines = (FieldRightInline,)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the permissions and the exceptions; this process follows at once, others within seconds."""
        super().save_related(request, form, formsets, change)
        transaction.on_commit(forget_exceptions)
        transaction.on_commit(forget_keys)


class OriginsField(forms.CharField):
    """A list of origins, one on each line."""

    widget = UnfoldAdminTextareaWidget({"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        """The lines that the form shows."""
        return "\n".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the lines say something else."""
        return self.to_list(data) != (initial or [])

    def clean(self, value: Any) -> list[str]:
        """The origins. Raises ValidationError naming the line that is none."""
        origins = self.to_list(super().clean(value))
        wrong = next((origin for origin in origins if not _ORIGIN.fullmatch(origin)), None)
        if wrong is not None:
            raise forms.ValidationError(
                f"“{wrong}” is no origin: write https://shop.example or https://*.shop.example."
            )
        return origins

    @staticmethod
    def to_list(value: Any) -> list[str]:
        """The lines that are not blank."""
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]


class SourceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A source: its origins one on each line."""

    allowed_origins = OriginsField(
        required=False,
        help_text="Browser sources: https://shop.example or https://*.shop.example, one a line. Empty: any.",
    )

    class Meta:
        model = Source
        fields: ClassVar = ["name", "kind", "enabled", "priority", "allowed_origins", "rate_limit"]


class WriteKeyInline(TabularInline):
    """The keys of a source. A key is made by the button of the page and can only be revoked."""

    model = WriteKey
    extra = 0
    fields = readonly_fields = ("hint", "created_at", "revoked_at")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Keys are made by the button, because they are shown once."""
        return False


@admin.register(Source)
class SourceAdmin(PlainAdmin):
    """Where messages come from."""

    form = SourceForm
    list_display = ("name", "kind", "enabled", "priority", "working_keys", "messages", "created_at")
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    inlines = (WriteKeyInline,)
    actions_detail = ("new_write_key",)
    empty_title = "No source yet"
    empty_text = "A source is a shop, an app or a server that sends events. Add one, then give it a write key."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        """With the keys, so that the list needs no query per row."""
        found: QuerySet[Source] = super().get_queryset(request).prefetch_related("write_keys")
        return found

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: its events stay. A source that should send no more is disabled."""
        return False

    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        """Save, and let this process ask again who the keys belong to."""
        super().save_model(request, obj, form, change)
        forget_keys()

    @display(description="Working keys")
    def working_keys(self, source: Source) -> int:
        """How many keys are not revoked."""
        return sum(key.revoked_at is None for key in source.write_keys.all())

    @display(description="Messages")
    def messages(self, source: Source) -> str:
        """The way to what became of its messages, day by day: also how many consent stopped."""
        page = f"{reverse('admin:pipeline_counter_changelist')}?source={source.pk}"
        return format_html('<a href="{}">Counts by day</a>', page)

    @page_action(description="New write key", permissions=["change"], url_path="new-write-key")
    def new_write_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then make the key and show it: this once."""
        source = get_object_or_404(Source, pk=object_id)
        if request.method != "POST":
            return self._page(request, source, "access/new_write_key.html", title=f"New write key for {source}")
        with transaction.atomic():
            key = add_write_key(source)
            self.record(request, "add key", [source], fields=["write_keys"])
            self.note(request, source, "Made a write key.")
        return self._page(request, source, "access/key_shown.html", title=f"Write key of {source}", key=key)

    def _page(self, request: HttpRequest, source: Source, template: str, **context: Any) -> HttpResponse:
        return key_page(
            self,
            request,
            template,
            source=source,
            back=reverse("admin:access_source_change", args=[source.pk]),
            **context,
        )


@admin.register(WriteKey)
class WriteKeyAdmin(ReadOnlyAdmin):
    """Write keys of all sources: to find the one that a message came with, and to revoke it."""

    list_display = ("hint", "source", "created_at", "revoked_at")
    list_filter = ("source",)
    list_select_related = ("source",)
    list_disable_select_all = False
    actions = ("revoke",)
    empty_title = "No write key yet"
    empty_text = "Open a source and choose “New write key”."

    @action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[WriteKey]) -> None:
        """From now on they are refused (other processes learn it within 30 seconds)."""
        revoke_keys(self, request, keys)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Who may change write keys may revoke them."""
        return request.user.has_perm("access.change_writekey")


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new key: its scopes as a list to tick."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, _SCOPE_TEXTS[scope]) for scope in SCOPES], widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
    classifications = forms.MultipleChoiceField(
        choices=[(name, name.capitalize()) for name in PROTECTED],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        required=False,
        label="Sees in clear",
        help_text="What it sees in clear with read, write or admin. Leave both empty for a key with a role.",
    )

    class Meta:
        model = ApiKey
        fields: ClassVar = ["name", "scopes", "role", "classifications", "rate_limit", "expires_at"]

    def clean(self) -> dict[str, Any]:
        """A role, or classifications: not both."""
        given: dict[str, Any] = super().clean() or {}
        if given.get("role") and given.get("classifications"):
            raise forms.ValidationError({"classifications": "The role says what the key sees. Leave this empty."})
        return given


@admin.register(ApiKey)
class ApiKeyAdmin(PlainAdmin):
    """Keys of the REST API."""

    form = ApiKeyForm
    list_display = ("name", "hint", "scope_list", "sight", "rate_limit", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("role",)
    search_fields = ("name",)
    readonly_fields = ("hint", "created_at", "revoked_at", "last_used_at")
    actions = ("revoke",)
    empty_title = "No API key yet"
    empty_text = "An API key lets a program read and write through the REST API. It is shown once, when it is made."

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        """What is asked for a new key; an old one shows its history too."""
        asked = ["name", "scopes", "role", "classifications", "rate_limit", "expires_at"]
        return asked if obj is None else [*asked, *self.readonly_fields]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: the audit names keys by id. A key that should work no more is revoked."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Make a new key, or save the changes of one."""
        if change:
            super().save_model(request, obj, form, change)
            forget_keys()
            return
        made, clear = add_api_key(
            obj.name,
            obj.scopes,
            rate_limit=obj.rate_limit,
            expires_at=obj.expires_at,
            role=obj.role,
            sees=obj.classifications,
        )
        obj.pk, obj.clear = made.pk, clear  # type: ignore[attr-defined]  # only until the answer is written

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the key: this once."""
        back = reverse("admin:access_apikey_changelist")
        key = obj.clear  # type: ignore[attr-defined]
        return key_page(self, request, "access/key_shown.html", title=f"API key {obj.name}", key=key, back=back)

    @display(description="Sees in clear")
    def sight(self, key: ApiKey) -> str:
        """Its role, or its classifications."""
        return f"as {key.role}" if key.role else ", ".join(key.classifications) or "–"

    @display(description="Scopes")
    def scope_list(self, key: ApiKey) -> str:
        """The scopes in one line."""
        return ", ".join(key.scopes)

    @action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        """From now on they are refused (other processes learn it within 30 seconds)."""
        revoke_keys(self, request, keys)


def revoke_keys(page: PlainAdmin, request: HttpRequest, keys: QuerySet[Any]) -> None:
    """Revoke those of the selected keys that work."""
    working = list(keys.filter(revoked_at=None))
    keys.model.objects.filter(pk__in=[key.pk for key in working]).update(revoked_at=timezone.now())
    page.record(request, "revoke", working, fields=["revoked_at"])
    forget_keys()
    messages.success(request, f"Revoked: {len(working)}.")


def own_password(request: HttpRequest) -> HttpResponse:
    """The page on which somebody changes their own password, with its entry in the audit."""
    with one_transaction(request):
        answer = admin.site.password_change(request)
        if request.method == "POST" and answer.status_code == 302:
            record_change(
                rights_of(request).actor,
                action="change",
                object_type="user",
                object_ids=[str(request.user.pk)],
                fields=["password"],
            )
    return answer


def key_page(page: PlainAdmin, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    """A page about a key, which no cache may keep."""
    if not page.has_change_permission(request) and not page.has_add_permission(request):
        raise PermissionDenied
    everything = {**page.admin_site.each_context(request), "opts": page.opts, **context}
    return TemplateResponse(request, template, everything, headers={"Cache-Control": "no-store"})
