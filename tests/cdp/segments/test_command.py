"""manage.py segments."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from cdp.segments.follow import follow
from cdp.segments.models import Segment
from tests.cdp.segments.making import a_list, a_rule, members
from tests.sending import message, send

pytestmark = pytest.mark.django_db


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("segments", *arguments, stdout=out)
    return out.getvalue()


def test_compute_and_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    a_list()
    segment = a_rule("testers", {"event": "Tested"})
    send(message(userId="a"), message(userId="b"))
    assert "1 segments computed." in told("compute", "testers")
    assert len(members(segment)) == 2
    assert "2 segments computed." in told("compute")
    listed = told("list")
    assert "testers" in listed
    assert "ready" in listed


def test_what_cannot_be_computed_is_told() -> None:
    a_rule("testers", {"event": "Tested"})
    follow()
    with pytest.raises(CommandError, match="There is no segment"):
        told("compute", "nobody")
    Segment.objects.update(rules={"trait": "plan", "operator": "~", "value": 1})
    with pytest.raises(CommandError, match="testers: "):
        told("compute")
    Segment.objects.update(lease_holder="somewhere:1:x", lease_until=2**60, error="", error_at=None)
    with pytest.raises(CommandError, match="testers: somebody else is computing it"):
        told("compute")
    Segment.objects.update(lease_holder="", lease_until=0)
