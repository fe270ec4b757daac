"""Consents by day and purpose."""

import pytest

from cdp.consents.models import ConsentRecord
from cdp.consents.rates import consent_rates
from cdp.core.clock import DAY
from tests import factories as make
from tests.factories import T0

pytestmark = pytest.mark.django_db


def say(owner, kind, granted, at, **fields):
    ConsentRecord.objects.create(profile=owner, type=kind, granted=granted, at=at, recorded_at=at, **fields)


def test_statements_by_day_and_people_so_far(django_assert_num_queries):
    ada, guest, bob = (make.profile() for _ in range(3))
    make.merge(ada, guest)
    say(ada, "PROFILING", True, T0 - 9 * DAY)
    say(ada, "PROFILING", False, T0)
    say(guest, "PROFILING", True, T0 + DAY - 1)
    say(bob, "PROFILING", True, T0 + DAY)
    say(bob, "PROFILING", False, T0 + DAY, cause="merge")
    say(bob, "MARKETING_SMS", True, T0 + 2 * DAY)
    with django_assert_num_queries(2):
        rates = consent_rates(3, now=T0 + 2 * DAY + 5)
    assert [(r.day, r.purpose, r.granted, r.withdrawn, r.people, r.share) for r in rates] == [
        ("2026-01-01", "MARKETING_SMS", 0, 0, 0, None),
        ("2026-01-01", "PROFILING", 1, 1, 1, 0.5),
        ("2026-01-02", "MARKETING_SMS", 0, 0, 0, None),
        ("2026-01-02", "PROFILING", 1, 0, 2, 1.0),
        ("2026-01-03", "MARKETING_SMS", 1, 0, 1, 1.0),
        ("2026-01-03", "PROFILING", 0, 0, 2, None),
    ]


def test_without_a_ledger_there_are_no_rates():
    assert consent_rates() == []
