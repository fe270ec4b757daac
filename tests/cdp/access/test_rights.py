"""What keys, users and roles may see and do; the record of reads."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.management import call_command
from django.test import RequestFactory

from cdp.access.audit import record_read, shortened
from cdp.access.keys import add_api_key
from cdp.access.models import AuditEntry, User
from cdp.access.rights import Rights, masked, rights_of
from cdp.access.roles import ROLES

pytestmark = pytest.mark.django_db


def request_of(auth=None, user=None):
    request = RequestFactory().get("/", REMOTE_ADDR="198.51.100.77", headers={"X-Request-Id": "r-1"})
    request.auth, request.user = auth, user or AnonymousUser()
    return request


@pytest.mark.parametrize(
    ("scopes", "sees"),
    [(["read"], True), (["read_masked"], False), (["write"], True), (["admin"], True), (["ingest"], False)],
)
def test_rights_of_a_key(scopes, sees):
    key, _ = add_api_key("k", scopes)
    held = frozenset({"ingest", "read", "read_masked", "write", "admin"} if scopes == ["admin"] else scopes)
    assert rights_of(request_of(auth=key)) == Rights(sees, held, f"key:{key.pk}")


@pytest.mark.parametrize(
    ("role", "sees", "scopes"),
    [
        ("administrator", True, {"ingest", "read", "read_masked", "write"}),
        ("marketer", True, {"ingest", "read", "read_masked", "write"}),
        ("privacy officer", True, {"ingest", "read", "read_masked", "write"}),
        ("analyst", False, {"read_masked"}),
        ("viewer", False, {"read_masked"}),
    ],
)
def test_rights_of_a_role(role, sees, scopes):
    alice = User.objects.create_user("alice")
    alice.groups.add(Group.objects.get(name=role))
    assert rights_of(request_of(user=alice)) == Rights(sees, frozenset(scopes), f"user:{alice.pk}")


def test_nobody_has_no_rights():
    assert rights_of(request_of()) == Rights(False, frozenset(), "nobody")


def test_roles_are_filled_once_and_then_left_to_the_admin():
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)
    administrators = Group.objects.get(name="administrator")
    assert administrators.permissions.count() == Permission.objects.count()
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.clear()
    call_command("migrate", verbosity=0)
    assert viewer.permissions.count() == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("jane@example.com", "j***@e***.com"),
        ("Jane", "J***"),
        ("+37060012345", "+***"),
        ("", "***"),
        ("@", "@***"),
        (" jane@mail.example.co.uk ", "j***@m***.uk"),
    ],
)
def test_masked(value, expected):
    assert masked(value) == expected


def test_a_read_leaves_one_entry_without_a_value():
    rights = Rights(True, frozenset({"read"}), "key:7")
    record_read(rights, object_type="profile", object_ids=["a", "b"], fields={"phone", "email"}, request=request_of())
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object_type, entry.object_ids, entry.fields) == (
        "key:7",
        "read",
        "profile",
        ["a", "b"],
        ["email", "phone"],
    )
    assert (entry.request_id, entry.address) == ("r-1", "198.51.100.0")


def test_a_masked_read_leaves_none():
    record_read(
        Rights(False, frozenset(), "key:7"), object_type="profile", object_ids=["a"], fields=[], request=request_of()
    )
    assert AuditEntry.objects.count() == 0


def test_addresses_are_shortened():
    assert [shortened(a) for a in ("203.0.113.9", "2001:db8:1:2::3", "nonsense", "")] == [
        "203.0.113.0",
        "2001:db8:1::",
        "",
        "",
    ]
