"""How the scan decodes each column of each table: a model that is added and not understood makes a test fail.

A row that bears the number of its profile belongs to that person whole: when no row bears a number, nothing else in
such rows is theirs. Every column of the other tables is decoded and looked at.
"""

from collections.abc import Iterator
from enum import Enum

from django.apps import apps
from django.db import models

from cdp.events.models import Event
from cdp.profiles.models import Profile


class How(Enum):
    """What a column holds, and so how it is compared."""

    NUMBER = "number of a profile"
    ID = "public id"
    TEXT = "text, searched"
    SEALED = "encrypted, opened and searched"
    MESSAGE = "a message, opened and read"
    BLIND = "blind index of an identifier"
    LOOKUP = "digest of a customer id"
    COOKIE = "session of the console, decoded and searched"
    OWNED = "part of a row that bears its profile's number"
    FIGURE = "a figure, a time or a flag"
    VOCABULARY = "a word of our own"
    DIGEST = "digest of a message, a secret or a seal"
    KEPT = "stays, and says so in the receipt"


REFERENCES = frozenset(
    {
        "profiles.DeletedProfile.profile_id", "traits.ComputedValue.person_id", "segments.Membership.person_id",
        "segments.MembershipChange.person_id", "segments.ListedProfile.profile_id", "identities.IdentityLog.profile_id",
        "identities.IdentityLog.other_id",
    }
)  # fmt: skip
"""Whole numbers that are a profile's, and no foreign key."""

TOMBSTONES = frozenset({"profiles.DeletedProfile.profile_id", "segments.MembershipChange.person_id"})
"""Bare numbers that stay: that a profile with this number is gone, for whoever follows the store. No row bears it."""

OTHER_NUMBERS = frozenset({"pipeline.ImportRun.source_id", "pipeline.InboxMessage.source_id",
                           "pipeline.Counter.source_id", "identities.IdentityLog.type_id"})  # fmt: skip
"""Whole numbers that are of something else."""

SEALED = {
    "integrations.Integration.credentials": "integration",
    "widget_api.WidgetSecret.body": "widget secret",
    "privacy.PrivacyRequest.body": "request",
    "privacy.RequestNote.body": "request",
    "privacy.RequestNote.content": "request",
}
"""Encrypted columns that bear no profile's number: the purpose that each is sealed for."""

BINARIES: dict[str, How] = {
    "pipeline.InboxMessage.digest": How.DIGEST,
    "pipeline.InboxMessage.body": How.MESSAGE,
    "pipeline.SeenMessage.digest": How.DIGEST,
    "events.QuarantinedMessage.digest": How.DIGEST,
    "events.QuarantinedMessage.body": How.MESSAGE,
    "identities.QuarantinedIdentifier.digest": How.BLIND,
    "identities.IdentityLog.digest": How.BLIND,
    "identities.IdentityLog.event": How.DIGEST,
    "identities.SuppressedIdentifier.digest": How.KEPT,
    "access.AuditEntry.salt": How.DIGEST,
    "access.AuditEntry.digest": How.DIGEST,
    "access.AuditEntry.mark": How.DIGEST,
    "access.AuditEntry.chain": How.DIGEST,
    "access.AuditHead.chain": How.DIGEST,
    "integrations.RequestLog.customer": How.LOOKUP,
    "widget_api.UsedNonce.digest": How.DIGEST,
    "privacy.Erasure.subject": How.KEPT,
    "privacy.PrivacyRequest.subject": How.DIGEST,
    "privacy.PrivacyRequest.link": How.DIGEST,
    **dict.fromkeys(SEALED, How.SEALED),
}

TEXTS: dict[str, How] = {
    "sessions.Session.session_data": How.COOKIE,
    "sessions.Session.session_key": How.DIGEST,
    "privacy.Erasure.receipt": How.KEPT,
    "privacy.Erasure.steps": How.VOCABULARY,
    "identities.IdentityLog.rule": How.VOCABULARY,
    "identities.IdentityLog.actor": How.VOCABULARY,
    "integrations.RequestLog.error": How.VOCABULARY,
    "pipeline.Counter.outcome": How.VOCABULARY,
    "access.AuditEntry.fields": How.VOCABULARY,
    "access.AuditEntry.actor": How.VOCABULARY,
    "access.AuditEntry.action": How.VOCABULARY,
    "access.AuditEntry.object_type": How.VOCABULARY,
    "access.AuditEntry.request_id": How.DIGEST,
    "access.AuditEntry.address": How.FIGURE,
}
"""Texts that are not simply searched. Those of large tables are words that only our code writes."""

_FIGURES = (
    models.BooleanField, models.DateTimeField, models.DateField, models.FloatField, models.DecimalField,
    models.DurationField, models.GenericIPAddressField,
)  # fmt: skip
_TEXTS = (models.CharField, models.TextField, models.JSONField)


class Unknown(LookupError):
    """A column that the scan does not know how to decode."""


def tables() -> Iterator[tuple[type[models.Model], dict[str, How]]]:
    """Every table that a model has, with what each column holds. Raises Unknown."""
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy and model._meta.managed:
            yield model, columns_of(model)


def columns_of(model: type[models.Model]) -> dict[str, How]:
    """Column → what it holds. Raises Unknown."""
    columns = {field.column: _how(model, field) for field in model._meta.concrete_fields if field.column}
    if owner(model) is None:
        return columns
    return {name: how if how is How.NUMBER else How.OWNED for name, how in columns.items()}


def owner(model: type[models.Model]) -> str | None:
    """The column that says whose a row is, in tables whose every row is somebody's."""
    if model is Profile:
        return "id"
    if model is Event:
        return "profile_id"  # one without was stripped of whom it was about when it came (`cdp.pipeline.gating`)
    for field in model._meta.concrete_fields:
        if not field.null and field.column and _is_reference(model, field):
            return str(field.column)
    return None


def label(model: type[models.Model], column: str) -> str:
    """How the sets above name a column."""
    return f"{model._meta.app_label}.{model._meta.object_name}.{column}"


def _is_reference(model: type[models.Model], field: "models.Field[object, object]") -> bool:
    if isinstance(field, models.ForeignKey):
        return bool(field.related_model is Profile)
    return label(model, str(field.column)) in REFERENCES


def _how(model: type[models.Model], field: "models.Field[object, object]") -> How:
    name = label(model, str(field.column))
    if _is_reference(model, field) or (model is Profile and field.primary_key):
        return How.NUMBER
    if isinstance(field, models.GeneratedField) and field.output_field is not None:
        field = field.output_field  # what the database computes is decoded like what it computes to
    if isinstance(field, models.ForeignKey):
        return How.FIGURE
    if isinstance(field, models.BinaryField):
        return _declared(BINARIES, name) if owner(model) is None else How.OWNED
    if isinstance(field, models.UUIDField):
        return How.ID
    if isinstance(field, _TEXTS):
        return How.VOCABULARY if field.choices else TEXTS.get(name, How.TEXT)
    if isinstance(field, models.IntegerField):
        if name.endswith("_id") and not field.primary_key and name not in OTHER_NUMBERS and owner(model) is None:
            raise Unknown(f"{name} may be a profile's number: say so in REFERENCES, or in OTHER_NUMBERS.")
        return How.FIGURE
    if isinstance(field, _FIGURES):
        return How.FIGURE
    raise Unknown(f"{name} is a {type(field).__name__}: say in cdp.privacy.proof_columns how it is decoded.")


def _declared(known: dict[str, How], name: str) -> How:
    try:
        return known[name]
    except KeyError:
        raise Unknown(f"{name} holds bytes: say in BINARIES of cdp.privacy.proof_columns what they are.") from None
