"""Sessions of a person (E8): one visit is one session, also when it was recorded in two profiles."""

import pytest

from cdp.core.clock import MINUTE
from cdp.events.sessions_view import sessions_of
from tests import factories as make
from tests.factories import T0

pytestmark = pytest.mark.django_db


def spans(fragments, **kwargs):
    found = sessions_of(fragments, **kwargs)
    return [((s.started - T0) // MINUTE, (s.last - T0) // MINUTE, s.event_count) for s in found]


def visit(owner, start, end, count=1, **fields):
    return make.session(owner, started=T0 + start * MINUTE, last=T0 + end * MINUTE, event_count=count, **fields)


def test_sessions_of_two_profiles_that_touch_are_one():
    ada, guest = make.profile(), make.profile()
    first = visit(guest, 0, 10, 3, entry={"path": "/"})
    second = visit(ada, 40, 50, 2, entry={"path": "/account"})
    visit(ada, 81, 90)
    assert spans([ada.pk, guest.pk]) == [(81, 90, 1), (0, 50, 5)]
    joined = sessions_of([ada.pk, guest.pk])[1]
    assert (joined.id, joined.entry, joined.parts, joined.duration) == (
        first.public_id,
        {"path": "/"},
        (first.public_id, second.public_id),
        50 * MINUTE,
    )


def test_sessions_that_the_client_stopped_stay_apart_unless_another_spans_them():
    ada, guest = make.profile(), make.profile()
    visit(ada, 0, 10)
    visit(ada, 15, 20)
    assert spans([ada.pk]) == [(15, 20, 1), (0, 10, 1)]
    visit(guest, 5, 30)
    assert spans([ada.pk, guest.pk]) == [(0, 30, 3)]


def test_nobody_elses_and_no_more_than_asked_for(django_assert_num_queries):
    ada, other = make.profile(), make.profile()
    for hour in range(4):
        visit(ada, hour * 60, hour * 60 + 1)
    visit(other, 0, 500)
    with django_assert_num_queries(1):
        assert spans([ada.pk], limit=2) == [(180, 181, 1), (120, 121, 1)]
