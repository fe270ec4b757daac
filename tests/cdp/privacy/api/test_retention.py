"""Retention policies by REST."""

import pytest

from cdp.access.models import AuditEntry
from cdp.core.clock import DAY, now_us
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention_run import run_due
from tests import factories as make
from tests.calling import Api, ids, without

pytestmark = pytest.mark.django_db
NOW = "2026-05-01T12:00:00.000Z"
PLAIN = {
    "eventNames": [], "source": None, "purpose": None, "logs": [], "queued": False, "running": False,
    "lastRunAt": None, "lastDeleted": None, "problem": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)


@pytest.fixture
def api():
    return Api("admin", name="all")


def test_a_policy_is_made_changed_tried_run_and_deleted(api):
    alice, shop = make.profile(), make.source("shop")
    for days in (10, 100, 200):
        make.event(alice, "Seen", ts=now_us() - days * DAY, of=shop)
    body = {"name": "Old", "subject": "events", "eventNames": ["Seen"], "source": "shop", "days": 30}
    status, made = api.post("privacy/retention", body)
    named = f"privacy/retention/{made['id']}"
    assert (status, without(made, "id")) == (201, {**PLAIN, **body, "active": False})
    assert ids(api.get("privacy/retention")[1]["data"]) == [made["id"]]
    status, error = api.post(f"{named}/run")
    assert (status, error["code"]) == (409, "not_active")
    changed = api.call("PATCH", named, {"active": True, "purpose": "analytics_tracking"})
    assert changed == (200, {**made, "active": True, "purpose": "ANALYTICS_TRACKING"})
    changed = api.put(named, {"purpose": None})[1]
    assert changed == {**made, "active": True}
    assert api.get(f"{named}/preview")[1] == {
        "id": made["id"], "asOf": NOW, "olderThan": "2026-04-01T12:00:00.000Z", "count": 2,
        "oldest": "2025-10-13T12:00:00.000Z", "hot": 2, "history": 0, "sessions": 0,
    }  # fmt: skip
    assert api.post(f"{named}/run") == (202, {**changed, "queued": True})
    assert run_due(now=now_us()) == 1
    assert api.get(named)[1] == {**changed, "lastRunAt": NOW, "lastDeleted": 2}
    assert api.delete(named) == (204, None)
    assert api.get(named)[0] == 404
    actions = AuditEntry.objects.filter(object_type="retentionpolicy").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["add", "change", "change", "run", "retain", "delete"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"days": 3}, "name"),
        ({"name": "x"}, "days"),
        ({"name": "x", "days": 0}, "days"),
        ({"name": "x", "days": "3"}, "$.days"),
        ({"name": "x", "days": 3, "source": "nobody"}, "source"),
        ({"name": "x", "days": 3, "source": 99}, "source"),
        ({"name": "x", "days": 3, "purpose": "nothing"}, "purpose"),
        ({"name": "x", "days": 3, "eventNames": "y"}, "$.eventNames"),
    ],
)
def test_what_is_refused(api, body, path):
    status, error = api.post("privacy/retention", body)
    assert (status, error["details"]["path"], RetentionPolicy.objects.count()) == (400, path, 0)


def test_a_name_is_taken_once(api):
    assert api.post("privacy/retention", {"name": "x", "days": 3})[0] == 201
    status, error = api.post("privacy/retention", {"name": "x", "days": 3})
    assert (status, error["code"]) == (409, "name_taken")


def test_who_may():
    for scope in ("read", "write"):
        assert Api(scope, name=scope).get("privacy/retention")[0] == 403
