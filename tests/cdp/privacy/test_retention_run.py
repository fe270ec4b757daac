"""Running retention: logs, people, when it is due, what is recorded, and what follows."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from cdp.access.models import AuditEntry
from cdp.core.clock import DAY, now_us
from cdp.core.errors import Invalid
from cdp.core.ids import uuid7
from cdp.events.models import Event, QuarantinedMessage
from cdp.history.export import flush_events
from cdp.history.lease import LakeBusy, lake_lease
from cdp.identities.models import SuppressedIdentifier
from cdp.privacy.holds import place_hold, release_hold
from cdp.privacy.models import Erasure, RetentionPolicy
from cdp.privacy.retention import due_policies, save_policy
from cdp.privacy.retention_old import Old
from cdp.privacy.retention_run import preview, run, run_due
from cdp.profiles.models import Profile
from cdp.segments.models import Segment
from integrations.models import Integration, RequestLog
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)


def ago(days: float) -> int:
    return now_us() - int(days * DAY)


def policy(subject: str, days: int, **fields) -> RetentionPolicy:
    fields = {"name": f"{subject} {days}", "active": True, **fields}
    return save_policy(RetentionPolicy(), {"subject": subject, "days": days, **fields}, actor="test")


def both(*policies):
    """What the preview says; the run must say the same."""
    now = now_us()
    counted = preview(policies, now=now)
    assert run(policies, actor="user:7", now=now) == counted
    return [counted[one.pk] for one in policies]


def quarantined(days: float) -> QuarantinedMessage:
    return QuarantinedMessage.objects.create(
        digest=uuid7().bytes, received=ago(days), stage="door", code="x", reason="x", body=b""
    )


def looked_up(days: float) -> RequestLog:
    integration = Integration.objects.get_or_create(
        name="i", defaults={"provider": "exacaster", "created_at": 0, "updated_at": 0}
    )[0]
    return RequestLog.objects.create(
        integration=integration, at=ago(days), customer=b"c", status=200, ms=1, cached=False, called=True
    )


def test_logs_go_by_the_policy_that_names_them_else_by_the_default():
    kept = [quarantined(3).pk, looked_up(10).pk]
    quarantined(8)
    looked_up(40)
    looked_up(31)
    default, mine = policy("logs", 30), policy("logs", 7, logs=["quarantine"])
    assert both(default, mine) == [Old(2, ago(40)), Old(1, ago(8))]
    assert [QuarantinedMessage.objects.get().pk, RequestLog.objects.get().pk] == kept


def test_quiet_people_are_erased_and_may_come_back():
    quiet, fragment, lively, fresh = (make.profile(at=ago(days)) for days in (400, 390, 500, 500))
    make.merge(quiet, fragment)
    Profile.objects.filter(pk=lively.pk).update(last_seen=ago(10))
    Profile.objects.filter(pk=fresh.pk).update(created_at=ago(10))
    make.identifier(quiet, "email", "q@example.com")
    make.event(fragment, "Seen", ts=ago(390))
    held = make.profile(at=ago(900))
    hold = place_hold(held, reason="Case 1", actor="test")
    one = policy("profiles", 365)
    assert both(one) == [Old(1, ago(390))]
    assert set(Profile.objects.values_list("pk", flat=True)) == {lively.pk, fresh.pk, held.pk}
    assert Event.objects.count() == 0
    erasure = Erasure.objects.get()
    assert (erasure.status, erasure.actor, erasure.receipt is not None) == ("done", "retention", True)
    assert SuppressedIdentifier.objects.filter(lifted_at=None).count() == 0
    assert SuppressedIdentifier.objects.count() == 1
    release_hold(hold, actor="test", why="closed")
    assert both(one) == [Old(1, ago(900))]


def test_the_shortest_decides_about_people_and_the_other_counts_none():
    make.profile(at=ago(100))
    short, long = policy("profiles", 30), policy("profiles", 60)
    assert both(long, short) == [Old(), Old(1, ago(100))]


def test_what_is_recorded_and_noted():
    make.event(make.profile(), "Seen", ts=ago(100))
    quarantined(100)
    events, rows, idle = policy("events", 30), policy("logs", 30), policy("events", 60, event_names=["Other"])
    AuditEntry.objects.all().delete()
    both(events, rows, idle)
    entries = AuditEntry.objects.order_by("id").values_list("actor", "action", "object_type", "object_ids", "why")
    assert list(entries) == [
        ("user:7", "retain", "retentionpolicy", [str(rows.public_id)], "deleted 1 rows older than 30 days"),
        ("user:7", "retain", "retentionpolicy", [str(events.public_id)], "deleted 1 events older than 30 days"),
    ]
    noted = RetentionPolicy.objects.order_by("name").values_list("name", "last_run_at", "last_deleted", "running_since")
    assert list(noted) == [(name, now_us(), count, None) for name, count in
                           (("events 30", 1), ("events 60", 0), ("logs 30", 1))]  # fmt: skip


def test_only_an_active_policy_deletes_but_any_can_be_tried():
    make.event(make.profile(), "Seen", ts=ago(100))
    one = policy("events", 30, active=False)
    assert preview([one], now=now_us())[one.pk].rows == 1
    assert run([one], actor="test", now=now_us()) == {}
    assert Event.objects.count() == 1


def test_when_it_is_due(time_machine, settings):
    settings.RETENTION_HOUR = 3
    one = policy("events", 30)
    policy("events", 90, active=False)
    assert due_policies(now_us()) == []  # made at noon: it waits for its hour
    time_machine.move_to("2026-05-02T02:59:59Z", tick=False)
    assert due_policies(now_us()) == []
    time_machine.move_to("2026-05-02T03:00:00Z", tick=False)
    assert due_policies(now_us()) == [one]
    assert (run_due(now=now_us()), due_policies(now_us())) == (1, [])
    time_machine.move_to("2026-05-03T05:00:00Z", tick=False)
    assert due_policies(now_us()) == [one]


def test_a_busy_lake_keeps_events_but_not_the_rest_and_is_tried_again(time_machine):
    make.event(make.profile(), "Seen", ts=ago(100))
    quarantined(100)
    events, rows = policy("events", 30), policy("logs", 30)
    with lake_lease("events"), pytest.raises(LakeBusy):
        run([events, rows], actor="test", now=now_us())
    events.refresh_from_db()
    assert (Event.objects.count(), QuarantinedMessage.objects.count()) == (1, 0)
    assert (events.error != "", events.last_run_at) == (True, None)
    time_machine.move_to("2026-05-02T12:00:00Z", tick=False)
    run([events], actor="test", now=now_us())
    events.refresh_from_db()
    assert (Event.objects.count(), events.error, events.last_deleted) == (0, "", 1)


def test_segments_and_computed_traits_look_again():
    make.event(make.profile(), "Seen", ts=ago(100))
    flush_events()
    segment = Segment.objects.create(key="s", name="s", rules={}, created_at=0, updated_at=0, swept_at=now_us())
    both(policy("events", 30))
    segment.refresh_from_db()
    assert segment.swept_at == 0


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"days": 0}, "days"),
        ({"days": 36_501}, "days"),
        ({"name": " "}, "name"),
        ({"subject": "all"}, "subject"),
        ({"event_names": [""]}, "eventNames"),
        ({"event_names": ["x"] * 201}, "eventNames"),
        ({"logs": ["quarantine"]}, "logs"),
        ({"subject": "logs", "logs": ["nothing"]}, "logs"),
        ({"subject": "logs", "event_names": ["x"]}, "eventNames"),
        ({"subject": "profiles", "event_names": ["x"]}, "eventNames"),
    ],
)
def test_what_is_no_policy(fields, path):
    given = {"name": "n", "days": 30, **fields}
    with pytest.raises(Invalid) as refused:
        save_policy(RetentionPolicy(), given, actor="test")
    assert refused.value.details["path"] == path
    assert RetentionPolicy.objects.count() == 0


def said(*words: str) -> list[list[str]]:
    out = StringIO()
    call_command("privacy", "retain", *words, stdout=out)
    return [line.split() for line in out.getvalue().splitlines()]


def test_the_command_counts_and_deletes():
    make.event(make.profile(), "Seen", ts=ago(100))
    policy("events", 30, name="short")
    policy("events", 20, name="idle", active=False, event_names=["Seen"])
    header, *lines = said("--dry-run", "short")
    assert (header[3:5], lines) == (["would", "go"], [["short", "Events", "30", "1", "0", "2026-01-21T12:00:00.000Z"]])
    assert len(said("--dry-run")) == 3
    assert said()[1:] == [["short", "Events", "30", "1", "0", "2026-01-21T12:00:00.000Z"]]
    assert Event.objects.count() == 0
    with pytest.raises(CommandError, match="not active"):
        said("idle")
    with pytest.raises(CommandError, match="no retention policy"):
        said("other")
