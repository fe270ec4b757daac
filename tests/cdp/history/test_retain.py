"""Taking events out of the lake by age: what is spared stays, also when it is said while a month is written."""

import ibis
import pytest

from cdp.core.clock import DAY
from cdp.history.export import flush_events
from cdp.history.lease import lake_lease
from cdp.history.models import LakeState
from cdp.history.retain import doomed_rows, remove_doomed
from cdp.history.tables import open_table, store_id
from cdp.lake.delta import EVENTS
from cdp.lake.errors import Overtaken
from tests import factories as make
from tests.factories import T0

pytestmark = pytest.mark.django_db


def table():
    found = open_table(EVENTS, store=store_id())
    assert found is not None
    return found


def profiles():
    return sorted(table().dataset().to_table(columns=["profile"])["profile"].to_pylist())


def old(rows):
    return (rows.ts < T0).ifelse(ibis.literal(7, "int64"), ibis.literal(0, "int64"))


@pytest.fixture
def people():
    """Two with an old event each, of different months, and one with a new one."""
    made = [make.profile() for _ in range(3)]
    for person, days in zip(made, (-100, -40, 40), strict=True):
        make.event(person, ts=T0 + days * DAY)
    flush_events()
    return [person.pk for person in made]


def test_what_goes_is_counted_by_reason_and_month(people):
    found = doomed_rows(table(), old, [], before=T0)
    assert (found.rows, found.oldest, len(found.months)) == ({7: 2}, {7: T0 - 100 * DAY}, 2)
    found = doomed_rows(table(), old, people[:1], before=T0)
    assert (found.rows, found.oldest, len(found.months)) == ({7: 1}, {7: T0 - 40 * DAY}, 1)
    assert doomed_rows(None, old, [], before=T0).rows == {}


def test_what_is_spared_stays(people):
    position, rows = table().position, LakeState.objects.get(pk="events").rows
    with lake_lease("events") as held:
        remove_doomed(held, old, lambda: people[:1], before=T0, resumed=False)
    assert profiles() == [people[0], people[2]]
    assert (table().position, rows, LakeState.objects.get(pk="events").rows) == (position, 3, 2)


def test_who_is_spared_while_a_month_is_written_keeps_it(people):
    answers = iter([[], people[:1]])
    before = table().version
    with lake_lease("events") as held, pytest.raises(Overtaken, match="legal hold"):
        remove_doomed(held, old, lambda: next(answers), before=T0, resumed=False)
    assert (profiles(), table().version) == (people, before)
