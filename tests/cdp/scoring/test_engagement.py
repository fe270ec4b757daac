"""The engagement formula against numbers worked out by hand."""

import pytest

from cdp.scoring.activity import activity_of_people
from cdp.scoring.engagement import Activity, Engagement, engagement, fading, saturating
from tests import factories as make
from tests.factories import T0, days


def test_nothing_done_scores_nothing():
    assert engagement(Activity(), now=T0) == Engagement(
        overall=0, email=0, web=0, portal=0, recency=0, frequency=0, monetary=0
    )


def test_half_of_everything():
    activity = Activity(
        last_event=T0 - days(14), active_days=8, email_events=4, web_events=20, portal_events=5, revenue=500
    )
    assert engagement(activity, now=T0) == Engagement(
        overall=50, email=50, web=50, portal=50, recency=50, frequency=50, monetary=50
    )


def test_a_business_without_a_portal_is_not_marked_down():
    # recency 2^0 = 100; frequency 100·(1−2^(−16/8)) = 75; monetary 100·(1−2^(−1500/500)) = 87.5 → 88; web 75
    # overall = 0.3·100 + 0.3·75 + 0.2·87.5 + 0.2·75 = 30 + 22.5 + 17.5 + 15 = 85
    activity = Activity(last_event=T0, active_days=16, web_events=40, revenue=1500)
    assert engagement(activity, now=T0) == Engagement(
        overall=85, email=0, web=75, portal=0, recency=100, frequency=75, monetary=88
    )


def test_a_clock_ahead_and_a_refund_stay_within_the_bounds():
    activity = Activity(last_event=T0 + days(1), revenue=-20)
    assert engagement(activity, now=T0) == Engagement(
        overall=30, email=0, web=0, portal=0, recency=100, frequency=0, monetary=0
    )


@pytest.mark.parametrize(("amount", "score"), [(0, 0.0), (10, 50.0), (20, 75.0), (30, 87.5)])
def test_saturating(amount, score):
    assert saturating(amount, 10) == score


@pytest.mark.parametrize(("age", "score"), [(0, 100.0), (7, 50.0), (14, 25.0)])
def test_fading(age, score):
    assert fading(age, 7) == score


@pytest.mark.django_db
def test_activity_counts_the_window_over_all_fragments(django_assert_num_queries):
    ada, guest, other, nobody = make.profile(), make.profile(), make.profile(), make.profile()
    make.merge(ada, guest)
    now = T0 + days(100)
    make.event(ada, "Signed In", ts=now - days(2))
    make.event(ada, "Email Opened", ts=now - days(2) + 1)
    make.event(ada, "Email Opened", ts=now - days(91))  # too long ago
    make.event(guest, "Home", call="page", ts=now - days(3))
    make.event(guest, "Order Completed", ts=now - days(3) + 5)
    make.event(guest, "Home", call="page", ts=now + days(1))  # not yet
    make.event(other, "Home", call="page", ts=now - 1)
    with django_assert_num_queries(1):
        found = activity_of_people({ada.pk: 12.5, nobody.pk: 1.0}, now=now)
    assert found.pop(nobody.pk) == Activity(revenue=1.0)
    assert found.pop(ada.pk) == Activity(
        last_event=now - days(2) + 1,
        last_login=now - days(2),
        active_days=2,
        email_events=1,
        web_events=1,
        portal_events=1,
        revenue=12.5,
    )
