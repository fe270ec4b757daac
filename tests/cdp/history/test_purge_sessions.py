"""Sessions go when they are as old as purged events and have no hot one."""

import pytest

from cdp.core.clock import DAY, MINUTE
from cdp.events.models import Event, Session
from cdp.history.export import flush
from cdp.history.purge import purge_hot_events, purge_sessions
from tests import factories as make
from tests.factories import T0

pytestmark = pytest.mark.django_db


def test_a_session_goes_with_its_last_hot_event(settings, monkeypatch):
    monkeypatch.setattr("cdp.history.purge.CHUNK", 2)
    settings.HOT_EVENT_DAYS = 10
    ada = make.profile()
    old = [make.session(ada, started=T0 + n, last=T0 + n + MINUTE, event_count=1) for n in range(5)]
    kept = make.session(ada, started=T0 + 9, last=T0 + 9 + MINUTE, event_count=2)
    new = make.session(ada, started=T0 + 5 * DAY, last=T0 + 5 * DAY, event_count=1)
    for one in old:
        make.event(ada, ts=one.started, within=one)
    flush()
    make.event(ada, ts=kept.started, within=kept)  # the lake does not have it yet
    now = T0 + 12 * DAY
    assert purge_sessions(now) == 0
    assert purge_hot_events(now) == 5
    assert purge_sessions(T0 + 10 * DAY) == 0
    assert purge_sessions(now) == 5
    assert set(Session.objects.values_list("pk", flat=True)) == {kept.pk, new.pk}
    assert Session.objects.get(pk=kept.pk).event_count == 2
    flush()
    assert (purge_hot_events(now), purge_sessions(now)) == (1, 1)
    assert (Event.objects.count(), Session.objects.get()) == (0, new)


def test_nothing_to_do_is_one_query(django_assert_num_queries):
    make.session(make.profile(), started=T0, last=T0)
    with django_assert_num_queries(0):  # by `cdp.core.bulk`, which Django does not count
        assert purge_sessions(T0) == 0
