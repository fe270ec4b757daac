"""The log of look-ups: written in groups, read as figures, purged by age."""

import random
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cdp.core.clock import DAY, HOUR, now_us
from integrations.afterwards import finish
from integrations.chart import HEIGHT, chart_of
from integrations.figures import Figures, HourCount, figures_of, percentile
from integrations.lookup import look_up
from integrations.models import Integration, RequestLog
from integrations.request_log import log_request, purge_requests
from tests.integrations.upstream import Upstream, row

pytestmark = pytest.mark.django_db


def test_what_a_row_holds(upstream: Upstream, integration: Integration):
    upstream.people["C1"] = row("C1")
    look_up("C1")
    finish()
    found = RequestLog.objects.get()
    assert (found.integration, found.status, found.cached, found.called, found.error) == (
        integration, 200, False, True, "",
    )  # fmt: skip
    assert 0 <= found.ms < 5000
    assert abs(found.at - now_us()) < 60_000_000
    assert bytes(found.customer) == django_settings.KEYRING.digest("lookup", "C1")


@pytest.mark.parametrize("count", [1, 300])
def test_rows_are_written_together(count: int, integration: Integration):
    for n in range(count):
        log_request(integration.pk, at=n, customer=b"x" * 16, status=200, ms=n, cached=False, called=True)
    with CaptureQueriesContext(connection) as queries:
        finish()
    assert RequestLog.objects.count() == count
    assert len(queries) == 3  # the integrations there are, and the transaction around the one insert


def test_rows_of_an_integration_that_is_gone_are_dropped(integration: Integration):
    log_request(integration.pk, at=1, customer=b"x" * 16, status=200, ms=1, cached=False, called=True)
    log_request(integration.pk + 1000, at=1, customer=b"x" * 16, status=200, ms=1, cached=False, called=True)
    finish()
    assert RequestLog.objects.count() == 1


def test_the_purge_keeps_what_is_young_enough(integration: Integration):
    now = now_us()
    for days in (0, 29, 31, 400):
        log_request(integration.pk, at=now - days * DAY, customer=b"", status=0, ms=days, cached=False, called=False)
    finish()
    assert purge_requests(now, keep_days=30) == 2
    assert sorted(RequestLog.objects.values_list("ms", flat=True)) == [0, 29]


@pytest.mark.django_db(transaction=True)
def test_the_task_is_scheduled_and_purges(integration: Integration, settings: Any):
    from config.celery import app
    from config.tasks import purge_requests as task

    log_request(integration.pk, at=1, customer=b"", status=0, ms=0, cached=False, called=False)
    finish()
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {"purge_requests", "sweep"} <= scheduled
    assert task() == 1


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_percentiles_are_those_of_the_sorted_list(part: float):
    generator = random.Random(7)
    for size in (1, 2, 19, 20, 21, 400):
        values = [generator.randrange(50) for _ in range(size)]
        counted = sorted((value, values.count(value)) for value in set(values))
        rank = -(-size * int(part * 100) // 100)  # nearest rank, rounded up
        assert percentile(counted, part) == sorted(values)[rank - 1]
    assert percentile([], part) is None


def test_figures_are_those_of_every_row_by_itself(integration: Integration):
    generator = random.Random(11)
    now = now_us()
    rows = []
    for _ in range(400):
        called = generator.random() < 0.4
        error = generator.choice(["", "", "", "timeout", "circuit_open"])
        at = now - generator.randrange(30 * HOUR)
        cached = not called and not error
        ms = generator.randrange(900)
        rows.append((at, ms, cached, called, error))
        log_request(integration.pk, at=at, customer=b"", status=0, ms=ms, cached=cached, called=called, error=error)
    finish()
    first = (now // HOUR - 23) * HOUR
    day = [r for r in rows if r[0] >= first]
    calls = sorted(r[1] for r in day if r[3])
    found: Figures = figures_of([integration.pk], now=now)[integration.pk]
    assert found.requests == len(day)
    assert found.calls == len(calls)
    assert found.fallbacks == sum(bool(r[4]) for r in day)
    assert found.success == sum(r[3] and not r[4] for r in day) / len(calls)
    assert found.hits == sum(r[2] for r in day) / len(day)
    assert (found.p50, found.p95) == (calls[-(-len(calls) // 2) - 1], calls[-(-len(calls) * 95 // 100) - 1])
    assert len(found.hours) == 24
    last = [r for r in day if r[0] // HOUR == now // HOUR]
    assert found.hours[-1] == HourCount(
        now // HOUR,
        cached=sum(r[2] for r in last),
        called=sum(not r[2] and not r[4] for r in last),
        failed=sum(bool(r[4]) for r in last),
    )


def test_bars_are_as_high_as_they_say():
    hours = [HourCount(0, 10, 5, 5), HourCount(1, 0, 0, 0), HourCount(2, 1, 0, 9)]
    chart = chart_of(hours)
    assert chart.busiest == 20
    assert [[(layer.kind, layer.y, layer.height) for layer in bar.layers] for bar in chart.bars] == [
        [("cached", HEIGHT / 2, HEIGHT / 2), ("called", HEIGHT / 4, HEIGHT / 4), ("failed", 0.0, HEIGHT / 4)],
        [],
        [("cached", HEIGHT - HEIGHT / 20, HEIGHT / 20), ("failed", HEIGHT / 2, HEIGHT * 9 / 20)],
    ]
