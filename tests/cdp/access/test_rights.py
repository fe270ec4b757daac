"""What keys, users and roles may see and do; the record of reads."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.management import call_command
from django.test import RequestFactory

from cdp.access.audit import record_read, shortened
from cdp.access.keys import add_api_key, api_key_of
from cdp.access.models import AuditEntry, FieldRight, User
from cdp.access.rights import Rights, forget_exceptions, masked, rights_of, roles_of
from cdp.access.roles import ROLES
from cdp.core.errors import Invalid

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
    assert rights_of(request_of(auth=key)) == Rights(sees, held, f"key:{key.pk}", sees_sensitive=scopes == ["admin"])


@pytest.mark.parametrize(
    ("role", "personal", "sensitive", "scopes"),
    [
        ("administrator", True, True, {"ingest", "read", "read_masked", "write"}),
        ("marketer", True, False, {"ingest", "read", "read_masked", "write"}),
        ("privacy officer", True, True, {"ingest", "read", "read_masked", "write"}),
        ("analyst", False, False, {"read_masked"}),
        ("viewer", False, False, {"read_masked"}),
    ],
)
def test_rights_of_a_role(role, personal, sensitive, scopes):
    alice = member("alice", role)
    expected = Rights(personal, frozenset(scopes), f"user:{alice.pk}", sees_sensitive=sensitive)
    assert rights_of(request_of(user=alice)) == expected


def member(name, *roles):
    user = User.objects.create_user(name)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def exception(role, field, kind):
    FieldRight.objects.create(group=Group.objects.get(name=role), field=field, kind=kind)
    forget_exceptions()


@pytest.mark.parametrize(
    ("scopes", "sees", "expected"),
    [
        (["read"], [], (False, False)),
        (["read"], ["sensitive"], (False, True)),
        (["write"], ["personal", "sensitive"], (True, True)),
        (["admin"], [], (False, False)),
        (["read_masked"], ["personal", "sensitive"], (False, False)),
        (["ingest"], ["personal"], (False, False)),
    ],
)
def test_a_key_sees_its_classifications(scopes, sees, expected):
    key, _ = add_api_key("k", scopes, sees=sees)
    rights = rights_of(request_of(auth=key))
    assert (rights.sees_personal, rights.sees_sensitive) == expected


def test_a_key_with_a_role_sees_what_the_people_of_the_role_see():
    role = Group.objects.get(name="marketer")
    exception("marketer", "email", "mask")
    _, clear = add_api_key("k", ["read"], role=role)
    rights = rights_of(request_of(auth=api_key_of(clear)))
    assert (rights.sees_personal, rights.sees_sensitive, rights.denied) == (True, False, {"email"})
    assert roles_of(rights) == {"marketer"}
    with pytest.raises(Invalid):
        add_api_key("both", ["read"], role=role, sees=["personal"])
    with pytest.raises(Invalid):
        add_api_key("unknown", ["read"], sees=["secret"])


def test_exceptions_for_fields():
    exception("analyst", "email", "see")
    exception("marketer", "email", "mask")
    exception("marketer", "diagnosis", "see")
    analyst, both = member("a", "analyst"), member("b", "analyst", "marketer")
    rights = rights_of(request_of(user=analyst))
    assert [rights.sees(*asked) for asked in (("email", "personal"), ("phone", "personal"))] == [True, False]
    rights = rights_of(request_of(user=both))
    asked = (("email", "personal"), ("phone", "personal"), ("diagnosis", "sensitive"), ("other", "sensitive"))
    assert [rights.sees(*one) for one in asked] == [False, True, True, False]
    assert rights.sees_something
    boss = User.objects.create_superuser("boss")
    boss.groups.set(Group.objects.filter(name="marketer"))
    assert rights_of(request_of(user=boss)).sees("email", "personal")


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
        ("Jane", "***"),
        ("+37060012345", "+370***45"),
        ("+370 600 12345", "+370***45"),
        ("37060012345", "***"),
        ("write to jane@example.com please", "***"),
        ("", "***"),
        ("@", "***"),
        (True, "***"),
        (None, "***"),
        (" jane@mail.example.co.uk ", "j***@m***.uk"),
    ],
)
def test_masked(value, expected):
    assert masked(value) == expected


def test_of_a_name_the_first_letter_is_shown():
    assert [masked(name, name=True) for name in ("Jane", " Jo ", "J", "")] == ["J***", "J***", "***", "***"]


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
