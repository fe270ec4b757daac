"""The fields that a looked-up profile can have, and which of them tell who somebody is."""

from cdp.traits.catalogue import is_personal, sensitive_keys
from cdp.traits.models import TraitDefinition
from integrations.connection import mapping_of
from integrations.mapping import Mapping
from integrations.models import Integration
from integrations.providers import PROVIDERS
from integrations.standard import ATTRIBUTES, SPELLINGS, STANDARD, ProfileField


def profile_fields() -> dict[str, ProfileField]:
    """Every field that is known, by its dotted path in `Answer.profile`: two queries.

    Those of the mapping, the standard ones, and as `attributes.<name>` what the last test of the connection saw and
    what the trait catalogue has. A profile may hold other attributes too: treat what is not here as personal. Traits
    that the catalogue calls sensitive are never in a profile.
    """
    row = Integration.objects.order_by("-active", "-updated_at").first()
    provider = PROVIDERS.get(row.provider) if row is not None else None
    mapping = mapping_of(row, provider) if row is not None and provider is not None else _default()
    fields = {field.name: field for field in mapping.described()}
    fields = {**fields, **{name: field for name, field in STANDARD.items() if name not in fields}}
    if mapping.rest == "ignore":
        return fields
    named = {rule.column for rule in mapping.fields.values()} | set(mapping.ignore) | set(SPELLINGS)
    for definition in TraitDefinition.objects.all():
        if definition.key not in named:
            _add(fields, definition.key, "any", personal=definition.classification in ("personal", "sensitive"))
    for column, kind in (row.columns if row is not None else {}).items():
        if column not in named:
            _add(fields, column, kind, personal=False)
    secret = {f"{ATTRIBUTES}.{key}" for key in sensitive_keys()}
    return {name: field for name, field in fields.items() if name not in secret}


def is_personal_field(name: str, value: object = None) -> bool:
    """Whether the field may be shown only to the customer: by its own classification, or by how the value looks."""
    known = profile_fields().get(name)
    return known is None or known.personal or is_personal("", value)


def _default() -> Mapping:
    return next(iter(PROVIDERS.values())).mapping


def _add(fields: dict[str, ProfileField], column: str, kind: str, *, personal: bool) -> None:
    name = f"{ATTRIBUTES}.{column}"
    if name not in fields:
        label = f"{column} (attribute)"
        fields[name] = ProfileField(name, label, kind, personal=personal or is_personal(column, None))
