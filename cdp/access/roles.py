"""The groups that an installation starts with. They are filled when they are made; after that the admin edits them."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

_VIEW = (
    "profiles.view_profile", "profiles.view_merge", "profiles.view_keepapart", "identities.view_identifier",
    "identities.view_identifiertype", "identities.view_identitylog", "identities.view_blockedvalue",
    "events.view_event", "events.view_session", "traits.view_traitdefinition", "traits.view_traitdocument",
    "traits.view_calculatedfield", "traits.view_computedtrait", "consents.view_consentrecord", "access.view_source",
    "segments.view_segment", "segments.view_audience",
)  # fmt: skip
_SEGMENTATION = (
    "segments.add_segment", "segments.change_segment", "segments.delete_segment",
    "segments.add_audience", "segments.change_audience", "segments.delete_audience",
)  # fmt: skip
_DATA_QUALITY = ("events.view_quarantinedmessage", "pipeline.view_importrun", "pipeline.view_counter")

_DESCRIBE = (
    "traits.add_traitdefinition", "traits.change_traitdefinition", "traits.add_calculatedfield",
    "traits.change_calculatedfield", "traits.delete_calculatedfield", "traits.add_computedtrait",
    "traits.change_computedtrait", "traits.delete_computedtrait",
)  # fmt: skip

_PRIVACY = (
    "privacy.view_privacyrequest", "privacy.add_privacyrequest", "privacy.change_privacyrequest",
    "privacy.view_requestnote", "privacy.add_requestnote", "privacy.view_accesspackage", "privacy.view_erasure",
    "privacy.view_controllernotice",
    "privacy.add_erasure", "privacy.view_legalhold", "privacy.add_legalhold", "privacy.change_legalhold",
    "privacy.view_retentionpolicy", "privacy.add_retentionpolicy", "privacy.change_retentionpolicy",
    "privacy.delete_retentionpolicy", "identities.view_suppressedidentifier", "identities.change_suppressedidentifier",
    "consents.view_purpose", "consents.add_purpose", "consents.change_purpose", "consents.view_gaterule",
    "consents.add_gaterule", "consents.change_gaterule", "consents.delete_gaterule",
)  # fmt: skip

ROLES: Mapping[str, Sequence[str]] = {
    "administrator": ("*",),
    "marketer": (*_VIEW, *_SEGMENTATION, *_DESCRIBE, "segments.export_members", "access.view_personal",
                 "access.write_data"),
    "analyst": (*_VIEW, *_SEGMENTATION, *_DATA_QUALITY, *_DESCRIBE),
    "privacy officer": (*_VIEW, *_DATA_QUALITY, "access.view_personal", "access.view_sensitive", "access.write_data",
                        "access.merge_people", "access.replay_quarantine", "access.view_auditentry",
                        "traits.change_traitdefinition", *_PRIVACY),
    "viewer": _VIEW,
}  # fmt: skip
"""Group → permissions; `*` is every permission there is."""


def create_roles(sender: AppConfig, **_signal: Any) -> None:
    """Make the groups that are missing, after the last app was migrated (then all permissions are there)."""
    last = [config for config in apps.get_app_configs() if config.models_module][-1]
    if sender.label != last.label:
        return
    create_permissions(sender, verbosity=0)  # Django's own receiver may come after this one
    for name, wanted in ROLES.items():
        group, made = Group.objects.get_or_create(name=name)
        if made:
            group.permissions.set(_permissions(wanted))


def _permissions(wanted: Sequence[str]) -> list[Permission]:
    if "*" in wanted:
        return list(Permission.objects.all())
    one_of = Q()
    for name in wanted:
        app, _, codename = name.partition(".")
        one_of |= Q(content_type__app_label=app, codename=codename)
    found = list(Permission.objects.filter(one_of))
    if len(found) != len(wanted):
        missing = set(wanted) - {f"{p.content_type.app_label}.{p.codename}" for p in found}
        raise LookupError(f"No such permission: {', '.join(sorted(missing))}")
    return found
