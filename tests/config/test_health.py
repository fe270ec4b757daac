"""/healthz, /readyz, /metrics."""

import re
from typing import Any

import pytest
from django.test import Client

from cdp.core.clock import SECOND, now_us
from cdp.events.models import Event
from cdp.history.export import flush
from cdp.pipeline.health import Metric, backlog
from cdp.pipeline.models import ProcessingLease
from config.health import exposition
from tests.sending import deliver, message, send

pytestmark = pytest.mark.django_db
_LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)')


def _metrics(client: Client, **extra: Any) -> dict[str, float]:
    """What Prometheus would read; every line must have its form."""
    answer = client.get("/metrics", **extra)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for line in answer.content.decode().splitlines():
        if not line.startswith("#"):
            match = _LINE.fullmatch(line)
            assert match, line
            found[f"{match[1]}{{{match[2]}}}" if match[2] else match[1]] = float(match[3])
    return found


def test_alive(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert client.post("/healthz").status_code == 405


def test_ready(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "checks": {"database": "ok", "broker": "ok", "lake": "ok", "backlog": "ok"},
    }


def test_not_ready_without_redis(client: Client, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert (body["error"], body["code"]) == ("Service Unavailable", "not_ready")
    assert body["message"] == "Not ready. broker: Redis does not answer (ConnectionError)"
    assert body["details"] == {
        "database": "ok",
        "broker": "Redis does not answer (ConnectionError)",
        "lake": "ok",
        "backlog": "ok",
    }


def test_not_ready_without_the_broker_folder(client: Client, settings: Any) -> None:
    settings.REDIS_URL = ""
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": "/nowhere"}
    assert client.get("/readyz").json()["details"]["broker"] == "its folder under DATA_DIR cannot be written"


def test_not_ready_with_a_full_backlog(client: Client, settings: Any) -> None:
    settings.MAX_BACKLOG = 1
    deliver(message(userId="a"), message(userId="b"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["details"]["backlog"] == (
        "2 messages wait, more than MAX_BACKLOG: is a worker running?"
    )  # fmt: skip


def test_the_lag_of_the_lake_is_shown_and_a_long_one_is_a_problem(client: Client) -> None:
    send(message(userId="a"), message(userId="b"), received=now_us() - 30 * SECOND)
    # Two events, and the two people that they made.
    assert re.fullmatch(r"ok, 4 rows wait for 3\d s", client.get("/readyz").json()["checks"]["lake"])
    numbers = _metrics(client)
    assert (numbers['cdp_lake_rows_waiting{table="events"}'], numbers['cdp_lake_rows_waiting{table="people"}']) == (
        2,
        2,
    )
    assert 30 <= numbers['cdp_lake_seconds_waiting{table="events"}'] < 60
    send(message(userId="a"), received=now_us() - 7200 * SECOND)
    Event.objects.order_by("id")[:1].get().delete()
    Event.objects.order_by("id")[:1].get().delete()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    said = "1 rows of events have waited for 2.0 hours: is a worker running?"
    assert answer.json()["details"]["lake"].endswith(said[1:])
    flush()
    assert client.get("/readyz").json()["checks"]["lake"] == "ok"
    numbers = _metrics(client)
    assert (numbers['cdp_lake_rows_waiting{table="events"}'], numbers['cdp_lake_files{table="events"}']) == (0, 1)


def test_not_ready_where_the_lake_cannot_be_written(client: Client, settings: Any) -> None:
    settings.LAKE_URL = "/dev/null/lake"
    assert client.get("/readyz").json()["details"]["lake"] == "its folder (LAKE_URL) cannot be written"


def test_backlog_is_what_waits() -> None:
    assert (backlog().messages, backlog().oldest) == (0, None)
    then = now_us() - 90 * SECOND
    deliver(message(userId="a"), received=then)
    deliver(message(userId="b"), message(userId="c"))
    waiting = backlog()
    assert (waiting.messages, waiting.oldest, waiting.age(then + 5 * SECOND)) == (3, then, 5.0)


def test_metrics_count_what_happened(client: Client) -> None:
    send(message(userId="a"), message("identify", anonymousId="x", userId="a", traits={"plan": "pro"}))
    deliver(message(userId="b"), received=now_us() - 30 * SECOND)
    found = _metrics(client)
    assert found['cdp_messages_total{source="shop",outcome="accepted"}'] == 3
    assert found['cdp_messages_total{source="shop",outcome="processed"}'] == 2
    assert (found["cdp_profiles"], found["cdp_events"], found["cdp_merges"]) == (1, 2, 0)
    assert (found["cdp_inbox_messages"], found["cdp_quarantine_open"]) == (1, 0)
    assert 30 <= found["cdp_inbox_oldest_seconds"] < 60


def test_metrics_show_who_holds_the_lease(client: Client) -> None:
    ProcessingLease.objects.filter(id=1).update(holder="", expires_at=0)
    assert (_metrics(client)["cdp_lease_held"], _metrics(client)["cdp_lease_age_seconds"]) == (0, 0)
    ProcessingLease.objects.filter(id=1).update(holder="somebody", expires_at=now_us() + 4 * SECOND)
    found = _metrics(client)
    assert found["cdp_lease_held"] == 1
    assert 6 <= found["cdp_lease_age_seconds"] < 8


def test_metrics_count_the_requests_of_this_process(client: Client) -> None:
    before = _metrics(client)
    client.get("/healthz")
    client.get("/api/v1/cdp/nothing")
    after = _metrics(client)
    for status, more in (("2xx", 2), ("4xx", 1)):
        name = f'cdp_requests_total{{status="{status}"}}'
        assert after[name] - before.get(name, 0) == more
    assert 0 < after['cdp_request_seconds_total{status="2xx"}'] < 1000


def test_metrics_are_for_this_machine_or_with_the_token(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "let me in"
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="::1").status_code == 200
    for outside in ({"REMOTE_ADDR": "203.0.113.9"}, {"REMOTE_ADDR": ""}, {"headers": {"X-Forwarded-For": "127.0.0.1"}}):
        assert client.get("/metrics", **outside).status_code == 403
    good = {"Authorization": "Bearer let me in"}
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9", headers=good).status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1", headers={"Authorization": "Bearer wrong"}).status_code == 403
    settings.METRICS_TOKEN = ""
    empty = {"Authorization": "Bearer "}
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9", headers=empty).status_code == 403


def test_exposition_escapes_labels() -> None:
    metric = Metric("m", "counter", "Help.", ((('a "b"\\\n',), 12_345_678_901.0),), ("source",))
    assert exposition([metric]) == (
        '# HELP m Help.\n# TYPE m counter\nm{source="a \\"b\\"\\\\\\n"} 12345678901\n'
    )  # fmt: skip


def test_how_far_segments_are_behind(client: Client) -> None:
    from cdp.segments.follow import follow
    from tests.cdp.segments.making import a_rule

    a_rule("anybody", {"event": "Tested"})
    follow()
    numbers = _metrics(client)
    assert (numbers["cdp_segments"], numbers["cdp_segments_failed"], numbers["cdp_segments_behind_seconds"]) == (
        1,
        0,
        0,
    )
    send(message(userId="a"))
    assert _metrics(client)["cdp_segments_behind_seconds"] > 0
