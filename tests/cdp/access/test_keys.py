"""Keys: made, found again, refused, and the two commands."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from cdp.access.keys import add_api_key, add_write_key, api_key_of, forget_keys, key_digest, new_key, source_of
from cdp.access.models import ApiKey, Source, WriteKey
from cdp.access.source import SourceRef
from cdp.core.errors import Conflict, Invalid

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Source:
    return Source.objects.create(name="shop")


def test_new_keys_are_long_url_safe_and_never_the_same():
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(len(key) == 43 and not set(key) & set(":. /+=") for key in keys)


def test_a_write_key_finds_its_source_and_is_kept_as_a_digest_only(shop):
    key = add_write_key(shop)
    assert source_of(key) == SourceRef.of(shop)
    row = WriteKey.objects.get()
    assert (row.digest, row.hint) == (key_digest(key), key[:6])
    assert source_of(key + "x") is None
    assert source_of("") is None


def test_look_ups_are_answered_from_the_process(shop, django_assert_num_queries):
    key = add_write_key(shop)
    with django_assert_num_queries(2):
        for _ in range(3):
            assert source_of(key) is not None
            assert source_of("no such key") is None


def test_revoked_and_disabled_keys_find_nothing(shop):
    key, other = add_write_key(shop), add_write_key(Source.objects.create(name="off", enabled=False))
    WriteKey.objects.filter(digest=key_digest(key)).update(revoked_at=timezone.now())
    forget_keys()
    assert (source_of(key), source_of(other)) == (None, None)
    with pytest.raises(Conflict, match="revoked"):
        add_write_key(shop, key)


def test_the_same_write_key_again_changes_nothing_and_another_source_cannot_have_it(shop):
    assert add_write_key(shop, "fixed-key") == add_write_key(shop, "fixed-key") == "fixed-key"
    assert WriteKey.objects.count() == 1
    with pytest.raises(Conflict, match="The source shop has this key"):
        add_write_key(Source.objects.create(name="other"), "fixed-key")


@pytest.mark.parametrize("key", ["", "a b", "a:b", "é", "x" * 201, "a\nb"])
def test_what_cannot_be_a_key(shop, key):
    with pytest.raises(Invalid):
        add_write_key(shop, key)


def test_an_api_key_ends(shop):
    row, key = add_api_key("short", ["read"], expires_at=timezone.now() + timedelta(hours=1))
    assert api_key_of(key) == row
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    forget_keys()
    assert api_key_of(key) is None


def test_api_keys_are_idempotent_by_name_key_and_scopes():
    first, _ = add_api_key("crm", ["write", "read", "read"], "crm-key")
    again, _ = add_api_key("crm", ["read", "write"], "crm-key")
    assert (first.pk, first.scopes) == (again.pk, ["read", "write"])
    for arguments in (("crm", ["read"], "crm-key"), ("crm", ["read", "write"], "else"), ("b", ["read"], "crm-key")):
        with pytest.raises(Conflict):
            add_api_key(*arguments)
    with pytest.raises(Invalid, match=r"Unknown scope delete\. Give at least one of: ingest, read"):
        add_api_key("c", ["read", "delete"])
    with pytest.raises(Invalid):
        add_api_key("c", [])


def test_create_source_prints_the_key_once():
    out = StringIO()
    call_command("create_source", "web", "--kind", "browser", stdout=out)
    head, key = out.getvalue().strip().split("\n")
    assert head == "Source web (browser). Write key (shown only now):"
    found = source_of(key)
    assert found is not None
    assert (found.name, found.trusted) == ("web", False)


def test_create_source_again_says_so():
    call_command("create_source", "shop", "--write-key", "shop-key", stdout=StringIO())
    out = StringIO()
    call_command("create_source", "shop", "--write-key", "shop-key", stdout=out)
    assert out.getvalue() == "The source shop has this key already.\n"
    with pytest.raises(CommandError, match="of kind server"):
        call_command("create_source", "shop", "--kind", "browser", stdout=StringIO())
    with pytest.raises(CommandError, match="The source shop has this key"):
        call_command("create_source", "new", "--write-key", "shop-key", stdout=StringIO())
    assert list(Source.objects.values_list("name", flat=True)) == ["shop"]


def test_create_api_key_prints_the_key_and_names_the_scopes_there_are():
    out = StringIO()
    call_command("create_api_key", "crm", "--scopes", "read, write", stdout=out)
    head, key = out.getvalue().strip().split("\n")
    assert head == "API key crm (read, write). Key (shown only now):"
    assert api_key_of(key) is not None
    out = StringIO()
    call_command("create_api_key", "crm", "--scopes", "read,write", f"--key={key}", stdout=out)
    assert out.getvalue() == "The API key crm exists already with this key.\n"
    with pytest.raises(CommandError, match="Unknown scope raed"):
        call_command("create_api_key", "x", "--scopes", "raed", stdout=StringIO())
