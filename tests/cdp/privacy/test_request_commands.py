"""manage.py privacy: open, requests, verify_request, carry_out, extend, reject, cancel."""

import io
import re

import pytest
from django.core.management import CommandError, call_command

from cdp.access.models import AuditEntry
from cdp.privacy.models import PrivacyRequest
from tests import factories as make

pytestmark = pytest.mark.django_db


def privacy(*arguments):
    out = io.StringIO()
    call_command("privacy", *arguments, stdout=out)
    return out.getvalue()


def opened(*arguments):
    return re.search(r"[0-9a-f-]{36}", privacy("open", *arguments))[0]


def test_from_opening_to_the_end():
    make.identifier(make.profile(), "email", "ada@example.com")
    first = opened("objection", "email=ada@example.com", "--changes", '{"purposes": ["marketing"]}')
    assert privacy("open", "objection", "email=ADA@example.com").startswith(f"The same is open already: {first}")
    listed = privacy("requests")
    assert [word in listed for word in (first, "objection", "unverified", "due in")] == [True] * 4
    assert "ada@example.com" not in listed
    with pytest.raises(CommandError, match="waits for verification"):
        privacy("carry_out", first)
    assert "pending" in privacy("verify_request", first, "--how", "person")
    assert "in 5" in privacy("extend", first, "--days", "30", "--reason", "Many")
    assert "completed" in privacy("carry_out", "--all")
    assert privacy("requests") == "There is no such request.\n"
    assert first in privacy("requests", "--all")
    assert {entry.actor.partition(":")[0] for entry in AuditEntry.objects.all()} == {"shell"}


def test_ending_without_carrying_out():
    first, second = opened("access", "user_id=a"), opened("access", "user_id=b")
    assert "rejected" in privacy("reject", first, "--reason", "Not the person")
    assert "cancelled" in privacy("cancel", second)
    assert set(PrivacyRequest.objects.values_list("status", flat=True)) == {"rejected", "cancelled"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("open", "access", "ada@example.com"), "TYPE=VALUE"),
        (("open", "rectification", "user_id=a", "--changes", "{"), "must be JSON"),
        (("carry_out",), "Name requests, or say --all"),
        (("verify_request", "nonsense", "--how", "call"), "no request with this id"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(arguments, said):
    with pytest.raises(CommandError, match=said):
        privacy(*arguments)
