"""Admin pages of the widget: keys with their origins, fields and limits; secrets, shown once; the tag for the page."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import action as page_action
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from cdp.access.admin import OriginsField, key_page
from cdp.access.admin_pages import PlainAdmin
from cdp.core.errors import Conflict
from widget_api.fields import field_choices
from widget_api.keys import add_secret, retire_secret, save_widget_key
from widget_api.models import WidgetKey, WidgetSecret

OPEN_WARNING = (
    "Open look-up is on: whoever opens a page with this key sees the fields that are not personal, of every customer "
    "whose id they type or guess. Keep it to places where only your own people are."
)


class WidgetKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A key: its origins one on each line, its fields as a list to tick."""

    allowed_origins = OriginsField(
        required=False,
        help_text="https://shop.example or https://*.shop.example, one a line. Empty: only this console.",
    )
    allowed_fields = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="The fields that a page may show. Personal ones need a signed customer token.",
    )

    class Meta:
        model = WidgetKey
        fields: ClassVar = [
            "name", "enabled", "allowed_origins", "allowed_fields", "open_lookup",
            "rate_limit", "visitor_limit", "open_limit",
        ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.instance.allowed_fields if self.instance.pk else []
        field: Any = self.fields["allowed_fields"]
        field.choices = field_choices(chosen)


class WidgetSecretInline(TabularInline):
    """The secrets of a key: made and retired by buttons."""

    model = WidgetSecret
    extra = 0
    fields = readonly_fields = ("kid", "created_at", "retired_at", "retire")
    can_delete = False
    verbose_name_plural = "secrets of the shop's server (two at a time, to change them without a gap)"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Secrets are made by the button, because they are shown once."""
        return False

    @display(description="")
    def retire(self, secret: WidgetSecret) -> SafeString | str:
        """The way to the question whether to retire it."""
        if secret.retired_at is not None:
            return "retired"
        address = reverse("admin:widget_api_widgetkey_retire", args=[secret.widget_key_id, secret.pk])
        return format_html('<a class="pf-link" href="{}">Retire …</a>', address)


@admin.register(WidgetKey)
class WidgetKeyAdmin(PlainAdmin):
    """Which pages may show which fields of a customer."""

    form = WidgetKeyForm
    list_display = ("name", "key", "enabled", "open", "active_secrets", "created_at")
    list_filter = ("enabled", "open_lookup")
    search_fields = ("name", "key")
    readonly_fields = ("key", "script_tag", "try_it", "source")
    inlines = (WidgetSecretInline,)
    actions_detail = ("new_secret",)
    empty_title = "No widget key yet"
    empty_text = "With a widget key your shop's pages show visitors their own profile. Add one, then give it a secret."

    def get_fieldsets(self, request: HttpRequest, obj: WidgetKey | None = None) -> list[tuple[str | None, Any]]:
        """What is asked for a new key; an old one shows how it is used too."""
        asked = ["name", "enabled", "allowed_origins", "allowed_fields"]
        parts: list[tuple[str | None, Any]] = [
            (None, {"fields": asked}),
            ("Without a token", {"fields": ["open_lookup", "open_limit"]}),
            ("Limits", {"fields": ["rate_limit", "visitor_limit"]}),
        ]
        return parts if obj is None else [("In the page", {"fields": list(self.readonly_fields)}), *parts]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WidgetKey]:
        """With the secrets, so that the list needs no query per row."""
        found: QuerySet[WidgetKey] = super().get_queryset(request).prefetch_related("secrets")
        return found

    def get_urls(self) -> list[Any]:
        """With the page that retires a secret."""
        view = self.admin_site.admin_view(self.retire_page)
        address = "<int:key_id>/retire/<int:secret_id>/"
        return [path(address, view, name="widget_api_widgetkey_retire"), *super().get_urls()]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: its page views stay. A key that should work no more is disabled."""
        return False

    def save_model(self, request: HttpRequest, obj: WidgetKey, form: Any, change: bool) -> None:
        """Save, with its source; warn of an open look-up."""
        save_widget_key(obj)
        if obj.open_lookup:
            messages.warning(request, OPEN_WARNING)

    @display(description="Open look-up", boolean=True)
    def open(self, key: WidgetKey) -> bool:
        """Whether a token is not needed."""
        return key.open_lookup

    @display(description="Active secrets")
    def active_secrets(self, key: WidgetKey) -> int:
        """How many are not retired."""
        return sum(secret.retired_at is None for secret in key.secrets.all())

    @display(description="Script tag")
    def script_tag(self, key: WidgetKey) -> SafeString:
        """What goes into the page."""
        tag = f'<script async src="{settings.PUBLIC_URL}/widget/v1/widget.js" data-key="{key.key}"></script>'
        return format_html('<pre class="pf-code" tabindex="0">{}</pre>', tag)

    @display(description="Try it")
    def try_it(self, key: WidgetKey) -> SafeString:
        """The demo page with this key."""
        return format_html('<a class="pf-link" href="{}?key={}">Demo page</a>', reverse("widget-demo"), key.key)

    @page_action(description="New secret", permissions=["change"], url_path="new-secret")
    def new_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then make the secret and show it: this once."""
        key = get_object_or_404(WidgetKey, pk=object_id)
        back = reverse("admin:widget_api_widgetkey_change", args=[key.pk])
        if request.method != "POST":
            active = [secret for secret in key.secrets.all() if secret.retired_at is None]
            return key_page(
                self, request, "widget_api/new_secret.html", title=f"New secret for {key}", back=back, active=active
            )
        try:
            with transaction.atomic():
                secret, clear = add_secret(key)
                self.record(request, "new secret", [key], fields=["secrets"])
                self.note(request, key, f"Made the secret {secret.kid}.")
        except Conflict as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(back)
        return key_page(
            self, request, "widget_api/secret_shown.html", title=f"Secret of {key}", key=clear, kid=secret.kid,
            publishable=key.key, back=back,
        )  # fmt: skip

    def retire_page(self, request: HttpRequest, key_id: int, secret_id: int) -> HttpResponse:
        """Ask, then retire a secret."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        secret = get_object_or_404(WidgetSecret.objects.select_related("widget_key"), pk=secret_id, widget_key=key_id)
        key = secret.widget_key
        back = reverse("admin:widget_api_widgetkey_change", args=[key.pk])
        if request.method != "POST":
            return key_page(
                self,
                request,
                "widget_api/retire_secret.html",
                title=f"Retire a secret of {key}",
                back=back,
                kid=secret.kid,
            )
        with transaction.atomic():
            retire_secret(secret)
            self.record(request, "retire secret", [key], fields=["secrets"])
            self.note(request, key, f"Retired the secret {secret.kid}.")
        messages.success(request, f"Retired: {secret.kid}. What it signed counts no longer.")
        return HttpResponseRedirect(back)
