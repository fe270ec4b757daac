"""The groups that an installation starts with. They are filled when they are made; after that the admin edits them."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

_VIEW = (
    "profiles.view_profile", "profiles.view_merge", "profiles.view_keepapart", "identities.view_identifier",
    "identities.view_identifiertype", "identities.view_identitylog", "identities.view_blockedvalue",
    "events.view_event", "events.view_session", "traits.view_traitdefinition", "traits.view_traitdocument",
    "consents.view_consentrecord", "access.view_source",
)  # fmt: skip
_DATA_QUALITY = ("events.view_quarantinedmessage", "pipeline.view_importrun", "pipeline.view_counter")

ROLES: Mapping[str, Sequence[str]] = {
    "administrator": ("*",),
    "marketer": (*_VIEW, "access.view_personal", "access.write_data", "traits.add_traitdefinition",
                 "traits.change_traitdefinition"),
    "analyst": (*_VIEW, *_DATA_QUALITY, "traits.add_traitdefinition", "traits.change_traitdefinition"),
    "privacy officer": (*_VIEW, *_DATA_QUALITY, "access.view_personal", "access.write_data", "access.merge_people",
                        "access.replay_quarantine", "access.view_auditentry", "traits.change_traitdefinition"),
    "viewer": _VIEW,
}  # fmt: skip
"""Group → permissions; `*` is every permission there is."""


def create_roles(sender: AppConfig, **_signal: Any) -> None:
    """Make the groups that are missing, after the last app was migrated (then all permissions are there)."""
    last = [config for config in apps.get_app_configs() if config.models_module][-1]
    if sender.label != last.label:
        return
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
