"""The form of an integration: what every provider has, and the lines of its own."""

import json
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
from django import forms
from django.conf import settings
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from cdp.core.errors import Invalid
from integrations.connection import account_of, open_secrets, seal_secrets
from integrations.mapping import Mapping, parse_mapping
from integrations.models import Integration
from integrations.provider import Entry, Provider

PREFIX = "config_"
COMMON = ("name", "active", "rollout", "write_traits")
_MAX_LENGTH = 4000


class MappingField(forms.JSONField):
    """A mapping as JSON; the provider's own is shown, and kept as none."""

    widget = UnfoldAdminTextareaWidget({"rows": 12, "spellcheck": "false"})

    def __init__(self, default: Mapping) -> None:
        self._default = msgspec.to_builtins(default)
        super().__init__(required=False, label="Field mapping", help_text=_MAPPING_HELP)

    def prepare_value(self, value: Any) -> Any:
        """Indented."""
        if isinstance(value, str):
            return value
        return json.dumps(value or self._default, indent=2, ensure_ascii=False)

    def clean(self, value: Any) -> Any:
        """The mapping as a document, {} for the provider's own. Raises ValidationError with the path."""
        document = super().clean(value)
        try:
            return {} if not document or parse_mapping(document) == parse_mapping(self._default) else document
        except Invalid as error:
            raise forms.ValidationError(error.message) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether it says something else."""
        try:
            return bool(self.clean(data) != (initial or {}))
        except forms.ValidationError:
            return True


_MAPPING_HELP = (
    'Field → {"column", "type", "label", "personal"}; types: any, text, integer, number, boolean, date. A dot makes a '
    "group. Other columns become attributes, unless “rest” is “ignore”. Empty: the provider's own."
)


class IntegrationForm(forms.ModelForm):  # type: ignore[type-arg]
    """Checks and keeps what `form_for` adds for a provider."""

    provider: ClassVar[Provider]

    class Meta:
        model = Integration
        fields: ClassVar = [*COMMON, "mapping"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = open_secrets(self.instance)
        for entry in self.provider.form:
            field = self.fields[PREFIX + entry.name]
            if entry.kind == "secret":
                field.help_text = _secret_help(entry, held=bool(held.get(entry.name)))
            else:
                field.initial = self.instance.config.get(entry.name, "")
                field.widget.attrs["placeholder"] = _default(entry)
        if not self.instance.pk:
            self.initial["active"] = not Integration.objects.filter(active=True).exists()

    @method_decorator(sensitive_variables())
    def clean(self) -> dict[str, Any]:
        """The form as config and credentials; says what is missing."""
        given = super().clean() or {}
        before = account_of(self.instance, self.provider) if self.instance.pk else None
        secrets = open_secrets(self.instance)
        config = {}
        for entry in self.provider.form:
            value = (given.get(PREFIX + entry.name) or "").strip()
            if entry.kind != "secret":
                config[entry.name] = value
            elif value:
                secrets[entry.name] = value
        if before is not None:
            self._require_secrets_again(before.config, config, given)
        self.instance.provider = self.provider.code
        self.instance.config = {name: value for name, value in config.items() if value}
        self.instance.credentials = seal_secrets(secrets)
        self._require_complete()
        return given

    def _require_secrets_again(self, before: Any, config: dict[str, str], given: dict[str, Any]) -> None:
        """A secret that nobody can see must not be sent to another server by typing the other's address."""
        for entry in self.provider.form:
            now = config.get(entry.name) or _default(entry)
            if entry.kind == "url" and now and _origin(before.get(entry.name, "")) != _origin(now):
                for secret in self.provider.form:
                    name = PREFIX + secret.name
                    if secret.kind == "secret" and not given.get(name) and open_secrets(self.instance).get(secret.name):
                        self.add_error(name, f"The {entry.label} leads to another server now: type this again.")

    def _require_complete(self) -> None:
        account = account_of(self.instance, self.provider)
        for entry in self.provider.form:
            name = PREFIX + entry.name
            held = account.secrets if entry.kind == "secret" else account.config
            if not held.get(entry.name) and name not in self.errors:
                self.add_error(name, "This is needed.")


def form_for(provider: Provider) -> type[IntegrationForm]:
    """The form of an integration with `provider`."""
    lines: dict[str, Any] = {PREFIX + entry.name: _field(entry) for entry in provider.form}
    attributes = {"provider": provider, "mapping": MappingField(provider.mapping), **lines}
    metaclass: Any = type(IntegrationForm)
    made: type[IntegrationForm] = metaclass(f"{provider.code.title()}Form", (IntegrationForm,), attributes)
    return made


def _field(entry: Entry) -> forms.CharField:
    if entry.kind == "secret":
        widget: Any = UnfoldAdminPasswordWidget({"autocomplete": "new-password"}, render_value=False)
        return forms.CharField(label=entry.label, required=False, max_length=_MAX_LENGTH, widget=widget)
    kind = _AddressField if entry.kind == "url" else forms.CharField
    widget = UnfoldAdminTextInputWidget({"spellcheck": "false"})
    return kind(label=entry.label, help_text=entry.help, required=False, max_length=_MAX_LENGTH, widget=widget)


class _AddressField(forms.CharField):
    """Where an API is: https, or http where the operator has allowed private networks."""

    def clean(self, value: Any) -> str:
        address: str = super().clean(value).rstrip("/")
        if not address:
            return ""
        try:
            parts = urlsplit(address)
            wrong = not parts.hostname or parts.port == 0
        except ValueError:
            wrong = True
        if wrong or parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
            raise forms.ValidationError("Write https://host/path, without a user, “?” and “#”.")
        if parts.scheme == "http" and not settings.OUTBOUND_ALLOW:
            raise forms.ValidationError("Write https://. Plain http is for networks that OUTBOUND_ALLOW names.")
        return address


def _secret_help(entry: Entry, *, held: bool) -> str:
    if held:
        return f"One is set. {entry.help} Leave this blank to keep it."
    if _default(entry):
        return f"{entry.setting} is set: it is used while this is blank, at the address of the environment only."
    return entry.help


def _default(entry: Entry) -> str:
    return str(getattr(settings, entry.setting, "") or "") if entry.setting else ""


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower()
