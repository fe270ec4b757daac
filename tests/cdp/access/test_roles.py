"""Roles over the years: what a newer version adds is given once; what an admin took away stays away."""

from importlib import import_module

import pytest
from django.apps import AppConfig, apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cdp.access.audit import record_change
from cdp.access.models import AuditEntry, RoleGrant
from cdp.access.roles import ROLES, update_roles
from tests import factories as make
from tests.cdp.segments.making import statements

pytestmark = pytest.mark.django_db

ADDED = "segments.view_audience"
"""A permission of viewers, analysts, marketers, officers and administrators that the version before does not have."""


def migrate() -> None:
    call_command("migrate", verbosity=0)


def role(name: str) -> Group:
    return Group.objects.get(name=name)


def held(group: Group) -> set[str]:
    return {".".join(one) for one in group.permissions.values_list("content_type__app_label", "codename")}


def take(group: Group, permission: str) -> None:
    group.permissions.remove(*group.permissions.filter(codename=permission.partition(".")[2]))


def before(*permissions: str) -> None:
    """Make the store one of a version that knew nothing of these permissions."""
    for permission in permissions:
        app, _, codename = permission.partition(".")
        assert Permission.objects.filter(content_type__app_label=app, codename=codename).delete()[0] > 0
    RoleGrant.objects.filter(permission__in=permissions).delete()


def last_app() -> AppConfig:
    return [config for config in apps.get_app_configs() if config.models_module][-1]


def upgrades() -> list[tuple[str, list[str], list[str], str]]:
    rows = AuditEntry.objects.filter(actor="upgrade").order_by("id")
    return list(rows.values_list("object_type", "object_ids", "fields", "why"))


def test_a_new_installation_has_every_role_in_full():
    every = {".".join(one) for one in Permission.objects.values_list("content_type__app_label", "codename")}
    for name, wanted in ROLES.items():
        assert held(role(name)) == (every if "*" in wanted else set(wanted))
        grants = RoleGrant.objects.filter(role=name, group=role(name))
        assert set(grants.values_list("permission", flat=True)) == held(role(name))
    assert RoleGrant.objects.count() == sum(len(held(role(name))) for name in ROLES)
    assert upgrades() == []


def test_an_upgrade_gives_what_is_new_and_only_to_whom_it_is_for():
    full = {name: held(role(name)) for name in ROLES}
    before(ADDED, "privacy.add_erasure")
    migrate()
    assert {name: held(role(name)) for name in ROLES} == full
    ids = [str(number) for number in sorted(Group.objects.values_list("pk", flat=True))]
    assert upgrades() == [("group", ids, ["permissions"], upgrades()[0][3])]
    assert ADDED in upgrades()[0][3]
    assert "privacy.add_erasure" in upgrades()[0][3]


def test_what_was_taken_away_stays_away_while_something_new_comes():
    viewer = role("viewer")
    take(viewer, "profiles.view_merge")
    take(role("administrator"), "privacy.add_erasure")
    before(ADDED)
    migrate()
    assert held(viewer) == set(ROLES["viewer"]) - {"profiles.view_merge"}
    assert "privacy.add_erasure" not in held(role("administrator"))
    take(viewer, ADDED)
    migrate()
    assert held(viewer) == set(ROLES["viewer"]) - {"profiles.view_merge", ADDED}


def test_what_an_admin_gave_before_is_theirs_to_take():
    marketer = role("marketer")
    RoleGrant.objects.filter(permission=ADDED, role="marketer").delete()  # the new version gives what they have already
    migrate()
    assert held(marketer) == set(ROLES["marketer"])
    take(marketer, ADDED)
    migrate()
    assert held(marketer) == set(ROLES["marketer"]) - {ADDED}


def test_a_second_migration_changes_nothing():
    before(ADDED)
    migrate()
    seen = [(name, held(role(name))) for name in ROLES], list(RoleGrant.objects.order_by("pk").values_list())
    migrate()
    assert ([(name, held(role(name))) for name in ROLES], list(RoleGrant.objects.order_by("pk").values_list())) == seen
    assert len(upgrades()) == 1


def test_a_deleted_role_is_not_made_anew_and_a_group_of_its_name_is_the_admins_own():
    root = Client()
    root.force_login(make.user("root", administrator=True))
    address = reverse("admin:auth_group_delete", args=[role("marketer").pk])
    assert root.post(address, {"post": "yes"}).status_code == 302
    before(ADDED)
    migrate()
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES) - {"marketer"}
    own = Group.objects.create(name="marketer")
    before(ADDED)
    migrate()
    assert (held(own), held(role("viewer"))) == (set(), set(ROLES["viewer"]))


def test_a_renamed_role_gets_what_is_new():
    team = role("marketer")
    Group.objects.filter(pk=team.pk).update(name="The team")
    before(ADDED)
    migrate()
    assert held(team) == set(ROLES["marketer"])
    assert not Group.objects.filter(name="marketer").exists()


def test_a_role_that_is_new_is_made_unless_somebody_has_its_name():
    Group.objects.filter(name__in=["analyst", "viewer"]).delete()
    RoleGrant.objects.filter(role__in=["analyst", "viewer"]).delete()  # the version before knew neither
    own = Group.objects.create(name="viewer")
    migrate()
    assert (held(role("analyst")), held(own)) == (set(ROLES["analyst"]), set())
    assert upgrades() == []
    migrate()
    assert held(own) == set()


def test_a_hundred_new_permissions_cost_as_many_queries_as_one():
    counts = []
    for new in ([], [ADDED], list(ROLES["privacy officer"])[5:]):
        RoleGrant.objects.filter(permission__in=new).delete()
        with CaptureQueriesContext(connection) as asked, statements() as written:
            update_roles(last_app())
        counts.append(len(asked) + len(written))
    assert counts[1] == counts[2] > counts[0]


def test_a_store_of_an_older_version_is_left_alone():
    RoleGrant.objects.all().delete()
    older = MigrationExecutor(connection).loader.project_state(("access", "0003_field_rights")).apps
    update_roles(last_app(), apps=older)
    assert RoleGrant.objects.count() == 0


def remember() -> None:
    """What the migration does that brings the table, in a store that has had roles for long."""
    RoleGrant.objects.all().delete()
    import_module("cdp.access.migrations.0004_role_grants").remember(apps, None)


def test_roles_from_before_get_what_they_were_never_given_unless_somebody_edited_them():
    lacking = {"privacy.add_erasure", "privacy.view_erasure"}
    for name in ("privacy officer", "administrator"):
        for permission in lacking:
            take(role(name), permission)
    edited = role("administrator")
    record_change("user:1", action="change", object_type="group", object_ids=[edited.pk], fields=["permissions"])
    before(ADDED)
    remember()
    migrate()
    assert held(role("privacy officer")) == set(ROLES["privacy officer"])
    assert len(lacking - held(edited)) == 2
    assert ADDED in held(edited)


def test_a_role_that_was_deleted_before_is_not_made_anew():
    role("marketer").delete()
    remember()
    migrate()
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES) - {"marketer"}


def test_a_new_installation_remembers_nothing():
    Group.objects.all().delete()
    remember()
    assert RoleGrant.objects.count() == 0
    migrate()
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)


def test_every_permission_of_a_role_exists():
    every = {".".join(one) for one in Permission.objects.values_list("content_type__app_label", "codename")}
    assert {name for wanted in ROLES.values() for name in wanted} - every == {"*"}
