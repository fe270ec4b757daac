"""How long a digest is kept."""

import pytest
from django.db import connection

from cdp.core.clock import DAY
from cdp.pipeline import dedupe
from cdp.pipeline.dedupe import purge_seen
from cdp.pipeline.models import SeenMessage

pytestmark = pytest.mark.django_db
NOW = 20_000 * DAY + 5


def test_old_digests_are_found_by_an_index():
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, SeenMessage._meta.db_table)
    assert ["day"] in [found["columns"] for found in constraints.values() if found["index"]]


def _seen_on(*days: int) -> None:
    SeenMessage.objects.bulk_create(
        SeenMessage(digest=number.to_bytes(16, "big"), day=day) for number, day in enumerate(days)
    )


def test_only_days_before_the_window_go() -> None:
    _seen_on(19_589, 19_599, 19_600, 19_601, 20_000)
    assert purge_seen(NOW, keep_days=400) == 2
    assert sorted(SeenMessage.objects.values_list("day", flat=True)) == [19_600, 19_601, 20_000]


def test_zero_days_keep_for_ever() -> None:
    _seen_on(1)
    assert purge_seen(NOW, keep_days=0) == 0
    assert SeenMessage.objects.count() == 1


def test_many_go_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "_CHUNK", 10)
    _seen_on(*[100] * 35, 20_000)
    assert purge_seen(NOW, keep_days=400) == 35
    assert SeenMessage.objects.count() == 1


def test_one_call_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "_CHUNK", 10)
    monkeypatch.setattr(dedupe, "_MAX_CHUNKS", 2)
    _seen_on(*[100] * 35)
    assert purge_seen(NOW, keep_days=400) == 20
