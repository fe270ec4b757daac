"""What is recorded of changes: by page, by REST and by command, with the names of the fields and never a value."""

import json
from io import StringIO

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.urls import reverse

from cdp.access.admin_pages import RecordedAdmin
from cdp.access.audit import shell_actor
from cdp.access.audit_verify import verify
from cdp.access.keys import add_api_key, add_write_key
from cdp.access.models import ApiKey, AuditEntry, FieldRight, Source, User, WriteKey
from cdp.core.clock import now_us
from cdp.identities.models import BlockedValue, IdentifierType, QuarantinedIdentifier
from cdp.privacy.models import Erasure
from cdp.profiles.models import Merge
from cdp.traits.models import CalculatedField, ComputedTrait, TraitDefinition
from tests import factories as make
from tests.calling import Api

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_dir")]
FORMS = {"write_keys-TOTAL_FORMS": 0, "write_keys-INITIAL_FORMS": 0}
SECRET = "correct-horse-7"


@pytest.fixture
def root(client):
    root = make.user("root", administrator=True)
    client.force_login(root)
    client.actor = f"user:{root.pk}"
    return client


def entries():
    """(actor, action, object type, ids, fields) of all entries, oldest first; none holds the secret, all are ours."""
    rows = AuditEntry.objects.order_by("id")
    kept = json.dumps([str(vars(row)) for row in rows])
    assert SECRET not in kept
    assert verify().problem == ""
    return list(rows.values_list("actor", "action", "object_type", "object_ids", "fields"))


def done(answer):
    assert answer.status_code in (200, 302), answer.content
    return answer


def test_every_page_records():
    assert [type(page) for page in admin.site._registry.values() if not isinstance(page, RecordedAdmin)] == []


class TestPages:
    def test_a_source(self, root):
        form = {"name": "shop", "kind": "server", "enabled": "on", "priority": 100, "rate_limit": 0, **FORMS}
        done(root.post(reverse("admin:access_source_add"), form))
        source = Source.objects.get()
        address = reverse("admin:access_source_change", args=[source.pk])
        done(root.post(address, {**form, "rate_limit": 5, "allowed_origins": "https://shop.example"}))
        done(root.post(address, {**form, "rate_limit": 5, "allowed_origins": "https://shop.example"}))
        done(root.post(reverse("admin:access_source_new_write_key", args=[source.pk])))
        ids = [str(source.pk)]
        assert entries() == [
            (
                root.actor,
                "add",
                "source",
                ids,
                ["allowed_origins", "enabled", "kind", "name", "priority", "rate_limit"],
            ),
            (root.actor, "change", "source", ids, ["allowed_origins", "rate_limit"]),
            (root.actor, "add key", "source", ids, ["write_keys"]),
        ]

    @pytest.mark.parametrize("model", ["writekey", "apikey"])
    def test_keys_revoked(self, model, root):
        add_write_key(make.source("shop"), SECRET)
        add_api_key("crm", ["read"], SECRET)
        key = {"writekey": WriteKey, "apikey": ApiKey}[model].objects.get()
        for _ in range(2):
            asked = {"action": "revoke", "_selected_action": [key.pk]}
            done(root.post(reverse(f"admin:access_{model}_changelist"), asked))
        assert entries() == [(root.actor, "revoke", model, [str(key.pk)], ["revoked_at"])]

    def test_an_api_key_made_and_changed(self, root):
        done(root.post(reverse("admin:access_apikey_add"), {"name": "crm", "scopes": ["read"], "rate_limit": 60}))
        key = ApiKey.objects.get()
        change = {"name": "crm", "scopes": ["read", "write"], "rate_limit": 60, "classifications": ["personal"]}
        done(root.post(reverse("admin:access_apikey_change", args=[key.pk]), change))
        assert entries() == [
            (
                root.actor,
                "add",
                "apikey",
                [str(key.pk)],
                ["classifications", "expires_at", "name", "rate_limit", "role", "scopes"],
            ),
            (root.actor, "change", "apikey", [str(key.pk)], ["classifications", "scopes"]),
        ]

    def test_a_user_and_their_password_and_groups(self, root):
        new = {"username": "alice", "usable_password": "true", "password1": SECRET, "password2": SECRET}
        done(root.post(reverse("admin:access_user_add"), new))
        alice = User.objects.get(username="alice")
        done(root.post(reverse("admin:auth_user_password_change", args=[alice.pk]), {**new, "password1": f"{SECRET}x"}))
        again = {"usable_password": "true", "password1": f"{SECRET}x", "password2": f"{SECRET}x"}
        done(root.post(reverse("admin:auth_user_password_change", args=[alice.pk]), again))
        group = Group.objects.get(name="analyst")
        form = {"username": "alice", "groups": [group.pk], "is_active": "on",
                "date_joined_0": alice.date_joined.strftime("%Y-%m-%d"),
                "date_joined_1": alice.date_joined.strftime("%H:%M:%S")}  # fmt: skip
        done(root.post(reverse("admin:access_user_change", args=[alice.pk]), form))
        assert alice.groups.get() == group
        done(root.post(reverse("admin:access_user_delete", args=[alice.pk]), {"post": "yes"}))
        ids = [str(alice.pk)]
        assert [(*entry[:4], set(entry[4]) & {"password", "password1", "groups"}) for entry in entries()] == [
            (root.actor, "add", "user", ids, {"password1"}),
            (root.actor, "change", "user", ids, {"password"}),
            (root.actor, "change", "user", ids, {"groups"}),
            (root.actor, "delete", "user", ids, set()),
        ]

    def test_ones_own_password(self, root):
        form = {"old_password": "wrong", "new_password1": SECRET, "new_password2": SECRET}
        done(root.post("/admin/password_change/", form))
        assert entries() == []
        done(root.post("/admin/password_change/", {**form, "old_password": "secret"}))
        assert User.objects.get().check_password(SECRET)
        assert entries() == [(root.actor, "change", "user", [root.actor[5:]], ["password"])]

    def test_the_rights_of_a_group(self, root):
        group = Group.objects.get(name="viewer")
        address = reverse("admin:auth_group_change", args=[group.pk])
        form = {"name": "viewer", "permissions": [], "field_rights-TOTAL_FORMS": 0, "field_rights-INITIAL_FORMS": 0}
        done(root.post(address, form))
        assert group.permissions.count() == 0
        exception = {"field_rights-TOTAL_FORMS": 1, "field_rights-0-field": "email", "field_rights-0-kind": "see"}
        done(root.post(address, {**form, **exception}))
        right = FieldRight.objects.get()
        assert (right.group, right.field, right.kind) == (group, "email", "see")
        asked = {"field_rights-0-id": right.pk, "field_rights-0-DELETE": "on", "field_rights-INITIAL_FORMS": 1}
        done(root.post(address, {**form, **exception, **asked}))
        assert not FieldRight.objects.exists()
        ids = [str(group.pk)]
        assert entries() == [
            (root.actor, "change", "group", ids, ["permissions"]),
            (root.actor, "change", "group", ids, ["fieldright.field", "fieldright.kind"]),
            (root.actor, "change", "group", ids, ["fieldright.DELETE"]),
        ]

    def test_the_rules_of_identity(self, root):
        kind = IdentifierType.objects.get(code="email")
        form = {"code": "email", "priority": kind.priority, "limit": 9, "window_days": kind.window_days or ""}
        done(root.post(reverse("admin:identities_identifiertype_change", args=[kind.pk]), {**form, "joins": "on"}))
        done(root.post(reverse("admin:identities_blockedvalue_add"), {"value": "nobody@x", "reason": ""}))
        blocked = BlockedValue.objects.get(value="nobody@x")
        chosen = {"action": "delete_selected", "_selected_action": [blocked.pk], "post": "yes"}
        done(root.post(reverse("admin:identities_blockedvalue_changelist"), chosen))
        held = QuarantinedIdentifier.objects.create(digest=b"x" * 16, type=kind, created_at=now_us())
        released = {"action": "release", "_selected_action": [held.pk]}
        done(root.post(reverse("admin:identities_quarantinedidentifier_changelist"), released))
        assert BlockedValue.objects.filter(value="nobody@x").count() == 0
        assert [entry[1:4] for entry in entries()] == [
            ("change", "identifiertype", [str(kind.pk)]),
            ("add", "blockedvalue", [str(blocked.pk)]),
            ("delete", "blockedvalue", [str(blocked.pk)]),
            ("release", "quarantinedidentifier", [str(held.pk)]),
        ]
        assert "limit" in entries()[0][4]

    def test_a_trait_definition(self, root):
        form = {"key": "shoe", "type": "DEMOGRAPHIC", "classification": "internal"}
        done(root.post(reverse("admin:traits_traitdefinition_add"), form))
        row = TraitDefinition.objects.get(key="shoe")
        address = reverse("admin:traits_traitdefinition_change", args=[row.pk])
        done(root.post(address, {**form, "classification": "personal"}))
        done(root.post(reverse("admin:traits_traitdefinition_delete", args=[row.pk]), {"post": "yes"}))
        assert [entry[1:] for entry in entries()][1:] == [
            ("change", "traitdefinition", [str(row.pk)], ["classification"]),
            ("delete", "traitdefinition", [str(row.pk)], []),
        ]

    def test_an_undone_merge(self, root):
        one, two = make.profile(), make.profile()
        merge = make.merge(one, two)
        done(root.post(reverse("admin:profiles_merge_undo", args=[merge.pk])))
        assert entries() == [(root.actor, "unmerge", "profile", [str(one.public_id), str(two.public_id)], ["person"])]

    def test_what_fails_leaves_neither_change_nor_entry(self, root, monkeypatch):
        from cdp.access.admin import SourceAdmin

        def fail(*_args, **_named):
            raise ZeroDivisionError

        monkeypatch.setattr(SourceAdmin, "response_add", fail)
        form = {"name": "shop", "kind": "server", "priority": 100, "rate_limit": 0, **FORMS}
        with pytest.raises(ZeroDivisionError):
            root.post(reverse("admin:access_source_add"), form)
        assert (Source.objects.count(), entries()) == (0, [])

    def test_an_action_that_cannot_be_recorded_is_not_done(self, root, monkeypatch):
        from cdp.access import admin_pages

        def fail(*_args, **_named):
            raise ZeroDivisionError

        add_write_key(make.source("shop"))
        monkeypatch.setattr(admin_pages, "record_change", fail)
        asked = {"action": "revoke", "_selected_action": [WriteKey.objects.get().pk]}
        with pytest.raises(ZeroDivisionError):
            root.post(reverse("admin:access_writekey_changelist"), asked)
        assert WriteKey.objects.get().revoked_at is None


class TestRest:
    @pytest.fixture
    def api(self):
        return Api("admin", name="all")

    def changed(self):
        return [entry for entry in entries() if entry[1] not in ("read", "resolve")]

    def test_a_person_from_beginning_to_end(self, api):
        actor = f"key:{api.row.pk}"
        person = api.post("profiles", {"userId": "u1", "email": f"{SECRET}@x.example", "consent": {"email": True}})[1][
            "id"
        ]
        api.put(f"profiles/{person}", {"attributes": {"city": SECRET}})
        api.post(f"identities/{person}", {"identityType": "PHONE", "identityValue": "+37061234567"})
        for step in ("verify", "set-primary"):
            api.post(f"identities/{person}/{step}", {"identityType": "PHONE", "identityValue": "+37061234567"})
        api.post(f"traits/{person}", {"traitKey": "plan", "traitValue": SECRET})
        api.delete(f"traits/{person}/plan")
        api.post(f"consents/{person}", {"consentType": "MARKETING_SMS", "granted": False})
        api.post("consent", {"profileId": person, "tracking": True})
        assert api.delete(f"profiles/{person}")[0] == 204
        *stated, erased = [(entry[0], entry[2], entry[3]) for entry in self.changed()]
        assert stated == [(actor, "profile", [person])] * 10
        assert erased == (actor, "erasure", [str(Erasure.objects.get().public_id)])
        assert [(entry[1], entry[4]) for entry in self.changed()] == [
            ("state consents", ["MARKETING_EMAIL"]),
            ("add", ["email", "user_id"]),
            ("change", ["city"]),
            ("add identity", ["phone"]),
            ("verify identity", ["phone"]),
            ("prefer identity", ["phone"]),
            ("set traits", ["plan"]),
            ("delete traits", ["plan"]),
            ("state consents", ["MARKETING_SMS"]),
            ("state consents", ["ANALYTICS_TRACKING"]),
            ("erase", ["person"]),
        ]

    def test_merge_and_unmerge(self, api):
        one, two = (api.post("profiles", {"userId": name})[1]["id"] for name in ("one", "two"))
        AuditEntry.objects.all().delete()
        api.post("profiles/merge", {"targetId": one, "sourceIds": [two], "dryRun": True})
        assert self.changed() == []
        api.post("profiles/merge", {"targetId": one, "sourceIds": [two]})
        api.post(f"merges/{Merge.objects.get().public_id}/undo")
        assert [entry[1:] for entry in self.changed()] == [
            ("merge", "profile", [one, two], ["person"]),
            ("unmerge", "profile", [one, two], ["person"]),
        ]

    def test_segments_and_audiences(self, api):
        person = api.post("profiles", {"userId": "one"})[1]["id"]
        AuditEntry.objects.all().delete()
        segment = api.post("segments", {"name": "Some", "key": "some", "type": "static"})[1]["id"]
        api.put("segments/some", {"name": "Few"})
        api.post("segments/some/members", {"profileIds": [person]})
        api.call("DELETE", "segments/some/members", {"profileIds": [person]})
        audience = api.post("audiences", {"name": "All", "key": "all", "segment": "some"})[1]["id"]
        assert api.delete("segments/some")[0] == 409
        api.put("audiences/all", {"holdOut": 10})
        api.delete("audiences/all")
        api.delete("segments/some")
        assert [entry[1:] for entry in self.changed()] == [
            ("add", "segment", [segment], ["key", "name", "type"]),
            ("change", "segment", [segment], ["name"]),
            ("add members", "segment", [segment], ["members"]),
            ("remove members", "segment", [segment], ["members"]),
            ("add", "audience", [audience], ["key", "name", "segment"]),
            ("change", "audience", [audience], ["hold_out"]),
            ("delete", "audience", [audience], []),
            ("delete", "segment", [segment], []),
        ]

    def test_what_is_refused_leaves_no_entry(self, api):
        person = api.post("profiles", {"userId": "one"})[1]["id"]
        api.post("profiles", {"userId": "two"})
        before = len(entries())
        assert api.post(f"identities/{person}", {"identityType": "USER_ID", "identityValue": "two"})[0] == 409
        assert api.delete(f"traits/{person}/nothing")[0] == 404
        assert api.post("consent", {"profileId": person})[0] == 400
        assert len(entries()) == before

    def test_where_it_came_from(self, api, settings):
        settings.TRUSTED_PROXIES = ["127.0.0.1"]
        headers = {"X-Request-ID": "trace-7", "X-Forwarded-For": "198.51.100.77, 127.0.0.1"}
        assert api.call("POST", "profiles", {"userId": "one"}, **headers)[0] == 201
        kept = set(AuditEntry.objects.values_list("request_id", "address"))
        assert kept == {("trace-7", "198.51.100.0")}


class TestCommands:
    def said(self, *command, **options):
        out = StringIO()
        call_command(*command, stdout=out, **options)
        return out.getvalue()

    def test_sources_and_keys(self):
        for _ in range(2):
            self.said("create_source", "shop", "--write-key", SECRET)
            self.said("create_api_key", "crm", "--scopes", "read", f"--key={SECRET}")
        source, key = str(Source.objects.get().pk), str(ApiKey.objects.get().pk)
        assert entries() == [
            (shell_actor(), "add", "source", [source], ["kind", "name"]),
            (shell_actor(), "add key", "source", [source], ["write_keys"]),
            (shell_actor(), "add", "apikey", [key], ["classifications", "name", "role", "scopes"]),
        ]

    def test_administrators_and_passwords(self, monkeypatch):
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", SECRET)
        self.said("createsuperuser", username="boss", email="", interactive=False)
        boss = User.objects.get()
        monkeypatch.setattr("getpass.getpass", lambda **_named: f"{SECRET}-new")
        self.said("changepassword", "boss")
        boss.refresh_from_db()
        assert boss.check_password(f"{SECRET}-new")
        assert entries() == [
            (shell_actor(), "add", "user", [str(boss.pk)], ["is_superuser", "password", "username"]),
            (shell_actor(), "change", "user", [str(boss.pk)], ["password"]),
        ]
        boss.save()
        assert len(entries()) == 2

    def test_an_import(self, tmp_path):
        path = tmp_path / "people.csv"
        path.write_text(f"id,mail\nu1,{SECRET}@x.example\n")
        options = ("import_file", path, "--kind", "customers", "--map", "id=userId", "--map", "mail=email")
        for _ in range(2):
            self.said(*options, "--no-process")
        source = str(Source.objects.get().pk)
        [made, imported] = entries()
        assert made == (shell_actor(), "add", "source", [source], ["name"])
        assert (imported[:3], imported[4]) == ((shell_actor(), "import", "importrun"), ["customers", "source"])


class TestDefinitions:
    """What REST changes of the catalogue leaves an entry as a page does."""

    def test_traits_calculated_and_computed(self):
        api = Api("admin")
        AuditEntry.objects.all().delete()
        ids = {}
        for path, made, changed, kind in (
            ("catalogue", {"key": "plan2", "dataType": "number"}, {"owner": "Growth"}, TraitDefinition),
            ("calculated", {"key": "twice", "expression": "plan2 * 2"}, {"expression": "plan2 * 3"}, CalculatedField),
            ("computed", {"key": "bought", "definition": {"event": "purchase", "aggregate": "count"}},
             {"description": "All"}, ComputedTrait),
        ):  # fmt: skip
            assert api.post(f"traits/{path}", made)[0] == 201
            ids[kind] = [str(kind.objects.get(key=made["key"]).pk)]
            assert api.put(f"traits/{path}/{made['key']}", changed)[0] == 200
        refused = api.call("DELETE", "traits/computed/nothing")[0]
        for path, key in (("computed", "bought"), ("calculated", "twice"), ("catalogue", "plan2")):
            assert api.call("DELETE", f"traits/{path}/{key}")[0] == 204
        assert refused == 404
        actor = f"key:{api.row.pk}"
        line = ["classification", "data_type", "description", "key", "owner", "readers", "type"]
        assert entries() == [
            (actor, "add", "traitdefinition", ids[TraitDefinition], line),
            (actor, "change", "traitdefinition", ids[TraitDefinition], ["owner"]),
            (actor, "add", "calculatedfield", ids[CalculatedField], ["description", "expression", "key", "owner"]),
            (actor, "change", "calculatedfield", ids[CalculatedField], ["expression"]),
            (actor, "add", "computedtrait", ids[ComputedTrait], ["definition", "description", "key", "owner"]),
            (actor, "change", "computedtrait", ids[ComputedTrait], ["description"]),
            (actor, "delete", "computedtrait", ids[ComputedTrait], []),
            (actor, "delete", "calculatedfield", ids[CalculatedField], []),
            (actor, "delete", "traitdefinition", ids[TraitDefinition], []),
        ]
