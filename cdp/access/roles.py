"""The groups that an installation starts with, which the admin edits; a newer version gives them what is new in it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import transaction

from cdp.access.audit import record_change
from cdp.access.audit_seal import database
from cdp.access.models import RoleGrant
from cdp.core.bulk import Table

ACTOR = "upgrade"
"""Who gave what is new, as the audit says it."""
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


_HELD = Table("auth_group_permissions", {"group_id": "integer", "permission_id": "integer"})
_GRANTS = Table("access_rolegrant", {"role": "text", "permission": "text", "group_id": "integer"})


class _Grant(NamedTuple):
    """A row of `RoleGrant`; `group` is a number."""

    role: str
    permission: str
    group: int


def update_roles(sender: AppConfig, *, apps: Apps = installed, **_signal: Any) -> None:
    """Make the roles that are new, and give every role the permissions that are new, when the last app was migrated.

    What was given is written down (`RoleGrant`) and never given again, so what an admin took away stays away; a role
    that was deleted is not made anew, and a group of the admin's own with the name of a role is left alone. Groups that
    were there before leave an audit entry. One transaction; a hundred new permissions cost as many queries as one.
    """
    last = [config for config in installed.get_app_configs() if config.models_module][-1]
    if sender.label != last.label or "rolegrant" not in apps.all_models["access"]:
        return  # the second when an older version is migrated to
    create_permissions(sender, verbosity=0)  # Django's own receiver may come after this one
    with transaction.atomic():
        there = _permissions()
        given: dict[str, set[str]] = {}
        homes: dict[str, int | None] = {}
        for role, name, group in RoleGrant.objects.values_list("role", "permission", "group_id"):
            given.setdefault(role, set()).add(name)
            homes[role] = group
        made = _make_groups(ROLES.keys() - given.keys())
        homes |= made
        new = [
            _Grant(role, name, home)
            for role, wanted in ROLES.items()
            if (home := homes.get(role)) is not None
            for name in (there if "*" in wanted else wanted)
            if name in there and name not in given.get(role, ())
        ]
        if new:
            _give(new, there)
            _record(new, made.values())


def _permissions() -> dict[str, list[int]]:
    """Name → numbers of every permission there is; two models of an app may have a codename in common."""
    found: dict[str, list[int]] = {}
    for app, codename, number in Permission.objects.values_list("content_type__app_label", "codename", "pk"):
        found.setdefault(f"{app}.{codename}", []).append(number)
    return found


def _make_groups(names: Collection[str]) -> dict[str, int]:
    """Name → number of the groups that were made: those of `names` that nobody has."""
    if not names:
        return {}
    taken = set(Group.objects.filter(name__in=names).values_list("name", flat=True))
    made = Group.objects.bulk_create(Group(name=name) for name in ROLES if name in names and name not in taken)
    return {group.name: group.pk for group in made}


def _give(new: Sequence[_Grant], there: Mapping[str, Sequence[int]]) -> None:
    db = database()
    # An admin may have given it before.
    db.insert_missing(_HELD, [(one.group, number) for one in new for number in there[one.permission]])
    db.insert_missing(_GRANTS, new)


def _record(new: Sequence[_Grant], made: Collection[int]) -> None:
    older = [one for one in new if one.group not in made]
    if older:
        names = ", ".join(dict.fromkeys(one.permission for one in older))
        groups = sorted({one.group for one in older})
        why = f"New in this version: {names}"
        record_change(ACTOR, action="change", object_type="group", object_ids=groups, fields=["permissions"], why=why)
