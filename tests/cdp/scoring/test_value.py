"""Lifetime value from the counters."""

from cdp.scoring.value import LifetimeValue, lifetime_value, revenue_of
from tests.factories import T0, days


def test_the_example_of_the_specification():
    # 3 purchases for 5,000 in a year: 1,666.67 each, 0.25 a month
    found = lifetime_value({"EUR": 5000.0}, 3, first_seen=T0, now=T0 + days(365))
    assert found == LifetimeValue(
        current=5000.0,
        purchases=3,
        average=1666.67,
        frequency=0.25,
        tenure=365,
        currency="EUR",
        by_currency={"EUR": 5000.0},
    )


def test_revenue_is_added_up_by_currency_with_the_largest_first():
    assert revenue_of(['{"EUR": 10000, "USD": 25000}', "{}", '{"EUR": 30000}']) == {"EUR": 4.0, "USD": 2.5}
    assert list(revenue_of(['{"USD": 1, "EUR": 2}'])) == ["EUR", "USD"]
    assert list(revenue_of(['{"USD": 2, "EUR": 2}'])) == ["EUR", "USD"]


def test_no_average_over_several_currencies_and_no_purchases():
    mixed = lifetime_value({"EUR": 4.0, "USD": 2.5}, 2, first_seen=T0, now=T0)
    assert (mixed.average, mixed.current, mixed.currency, mixed.frequency, mixed.tenure) == (None, 4.0, "EUR", 2.0, 0)
    nothing = lifetime_value({}, 0, first_seen=T0, now=T0 - 5)
    assert nothing == LifetimeValue(
        current=0.0, purchases=0, average=None, frequency=0.0, tenure=0, currency=None, by_currency={}
    )
