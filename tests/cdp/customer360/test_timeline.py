"""The timeline (P8): keyset pages over every profile of a person, and the listing of events (E1)."""

import uuid

import msgspec
import pytest
from django.conf import settings
from django.test import override_settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from cdp.core.clock import DAY, iso
from cdp.core.errors import Invalid, NotFound
from cdp.customer360 import timeline as timeline_module
from cdp.customer360.event_view import EventView
from cdp.customer360.timeline import EventFilter, events_after, events_page, old_event, recent_events, timeline
from cdp.events.models import Event
from cdp.history.export import flush
from cdp.history.purge import purge_hot_events
from tests import factories as make
from tests.factories import T0, days


def ids(page):
    return [view.event_name for view in page.data]


def walk(person, limit, *, between=lambda: None):
    """The names of all pages, and the number of pages."""
    names, cursor, pages = [], "", 0
    while True:
        page = timeline(person, cursor=cursor, limit=limit, clear=True)
        names += ids(page)
        pages += 1
        assert pages <= 20, "the pages repeat themselves"
        between()
        if page.next is None:
            return names, pages
        cursor = page.next


@pytest.mark.django_db
class TestTimeline:
    def test_an_event_shows_everything_in_both_spellings(self, django_assert_num_queries):
        shop = make.source("shop")
        ada, guest = make.profile(), make.profile(at=T0 + 1)
        make.merge(ada, guest)
        visit = make.session(guest, started=T0, last=T0)
        row = make.event(
            guest,
            "Product Viewed",
            ts=T0 + 1_234_000,
            properties={"sku": "A1", "email": "ada@example.com", "note": {"by": "bob@example.org"}},
            context={"device": {"id": "phone-1"}, "ip": "10.1.2.0"},
            of=shop,
            within=visit,
            message_id="m-1",
        )
        expected = EventView(
            id=str(uuid.UUID(bytes=row.digest)),
            message_id="m-1",
            customer_id=str(ada.public_id),
            profile_id=str(ada.public_id),
            fragment_id=str(guest.public_id),
            session_id=str(visit.public_id),
            device_id="phone-1",
            call="track",
            event_type="PRODUCT_VIEW",
            type="product_view",
            event_name="Product Viewed",
            event_category=None,
            properties={"sku": "A1", "email": "ada@example.com", "note": {"by": "bob@example.org"}},
            context={"device": {"id": "phone-1"}, "ip": "10.1.2.0"},
            timestamp="2026-01-01T00:00:01.234Z",
            received_at="2026-01-01T00:00:01.234Z",
            source="shop",
        )
        with django_assert_num_queries(4):
            assert timeline(ada, clear=True).data == [expected]
        masked = timeline(ada, clear=False).data[0]
        assert masked.properties == {"sku": "A1", "email": "a***@e***.com", "note": {"by": "b***@e***.org"}}
        assert masked.context == {"device": {"id": "phone-1"}, "ip": "***"}

    @pytest.mark.parametrize("count", [1, 3])
    def test_constant_number_of_queries(self, count, django_assert_num_queries):
        ada = make.profile()
        for number in range(count):
            make.event(ada, ts=T0 + number)
        with django_assert_num_queries(4):
            assert len(timeline(ada, clear=True).data) == count
        with django_assert_num_queries(3):
            assert len(events_after(EventFilter(), clear=True).data) == count
        with django_assert_num_queries(3):
            assert events_page(EventFilter(), clear=True).total == count

    def test_the_total_stops_where_the_pages_do(self, monkeypatch):
        monkeypatch.setattr(timeline_module, "_COUNTED", 3)
        ada = make.profile()
        for number in range(5):
            make.event(ada, ts=T0 + number)
        assert [events_page(EventFilter(), page=page, limit=2, clear=True).total for page in (1, 3)] == [3, 3]
        assert len(events_page(EventFilter(), page=3, limit=2, clear=True).data) == 1

    def test_no_cap_on_age_and_nobody_elses(self):
        ada = make.profile()
        make.event(ada, "old", ts=T0 - days(9000))
        make.event(ada, "new", ts=T0)
        make.event(make.profile(), "other", ts=T0)
        assert walk(ada, 1) == (["new", "old"], 2)

    def test_an_empty_timeline(self):
        page = timeline(make.profile(), clear=True)
        assert (page.data, page.next) == ([], None)

    @pytest.mark.parametrize("cursor", ["?", "AAAA", "kg", "k8A", "é", "a" * 5000])
    def test_a_cursor_that_is_none_of_ours(self, cursor):
        with pytest.raises(Invalid) as refused:
            timeline(make.profile(), cursor=cursor, clear=True)
        assert refused.value.code == "invalid_cursor"

    @pytest.mark.parametrize("limit", [0, -1, 501])
    def test_limits(self, limit):
        with pytest.raises(Invalid):
            timeline(make.profile(), limit=limit, clear=True)


@pytest.mark.django_db
class TestFilters:
    def test_each_filter(self):
        shop, app = make.source("shop"), make.source("app")
        ada = make.profile()
        make.event(ada, "Product Viewed", ts=T0, of=shop)
        make.event(ada, "Order Completed", ts=T0 + DAY, of=app)
        make.event(ada, "Home", call="page", ts=T0 + 2 * DAY, of=shop)

        def found(**params):
            return ids(events_after(EventFilter.of(params), clear=True))

        assert found() == ["Home", "Order Completed", "Product Viewed"]
        assert found(type="PURCHASE") == found(eventType="purchase") == ["Order Completed"]
        assert found(name="Home") == ["Home"]
        assert found(source="shop") == ["Home", "Product Viewed"]
        assert found(startDate="2026-01-02") == ["Home", "Order Completed"]
        assert found(endDate="2026-01-02") == ["Order Completed", "Product Viewed"]
        assert found(startDate="2026-01-02T00:00:00.000001Z", endDate=iso(T0 + 2 * DAY)) == ["Home"]
        assert found(type="", startDate=" ") == ["Home", "Order Completed", "Product Viewed"]

    def test_the_listing_of_one_customer_follows_any_id_of_theirs(self):
        ada, guest, other = make.profile(), make.profile(), make.profile()
        make.merge(ada, guest)
        make.event(ada, "one", ts=T0)
        make.event(guest, "two", ts=T0 + 1)
        make.event(other, "three", ts=T0 + 2)
        for wanted in (ada.public_id, str(guest.public_id)):
            assert ids(events_after(EventFilter(), customer_id=wanted, clear=True)) == ["two", "one"]
            numbered = events_page(EventFilter(), customer_id=wanted, page=2, limit=1, clear=True)
            assert (ids(numbered), numbered.total) == (["one"], 2)
        with pytest.raises(NotFound):
            events_after(EventFilter(), customer_id="nobody", clear=True)

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"type": "nonsense"}, "invalid_type"),
            ({"startDate": "yesterday"}, "invalid_date"),
            ({"endDate": "2026-13-01"}, "invalid_date"),
        ],
    )
    def test_what_cannot_be_understood(self, params, code):
        with pytest.raises(Invalid) as refused:
            EventFilter.of(params)
        assert refused.value.code == code

    @pytest.mark.parametrize("page", [0, -3, 100_000])
    def test_numbers_out_of_range(self, page):
        with pytest.raises(Invalid):
            events_page(EventFilter(), page=page, clear=True)


class TestPages(TestCase):
    """P8: however events lie and whatever arrives meanwhile, the pages are the ordered list."""

    @hypothesis_settings(max_examples=40, deadline=None)
    @given(
        moments=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12),
        limit=st.integers(1, 5),
        late=st.lists(st.integers(0, 9), max_size=4),
    )
    def test_pages_concatenate_to_the_whole_list(self, moments, limit, late):
        ada, guest = make.profile(), make.profile()
        make.merge(ada, guest)
        rows = [
            make.event(guest if of_guest else ada, f"e{n}", ts=T0 + moment)
            for n, (moment, of_guest) in enumerate(moments)
        ]
        expected = [row.name for row in sorted(rows, key=lambda row: (-row.ts, -row.pk))]
        assert walk(ada, limit)[0] == expected
        waiting = list(late)

        def insert():
            if waiting:
                make.event(ada, "late", ts=T0 + waiting.pop())

        names, _ = walk(ada, limit, between=insert)
        assert [name for name in names if name != "late"] == expected


class TestWhereTheOperationalStoreEnds(TestCase):
    """Pages go on in the lake without a gap or a repeat, wherever the border is and whenever it moves."""

    @hypothesis_settings(max_examples=6, deadline=None)
    @given(
        moments=st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=12),
        limit=st.integers(1, 5),
        hot_days=st.integers(1, 8),
        while_reading=st.booleans(),
    )
    def test_the_pages_are_the_whole_list(self, moments, limit, hot_days, while_reading):
        lake = override_settings(LAKE_URL=str(settings.DATA_DIR / "lakes" / uuid.uuid4().hex))
        with lake:  # the store is rolled back after every example, and a lake is not
            self.pages_are_the_whole_list(moments, limit, hot_days, while_reading)

    def pages_are_the_whole_list(self, moments, limit, hot_days, while_reading):
        now = T0 + 7 * DAY
        ada, guest, other = make.profile(), make.profile(), make.profile()
        make.merge(ada, guest)
        rows = [
            make.event(guest if of_guest else ada, f"e{n}", ts=T0 + day * DAY, properties={"n": n, "deep": {"er": "x"}})
            for n, (day, of_guest) in enumerate(moments)
        ]
        make.event(other, "other", ts=T0)
        expected = [row.name for row in sorted(rows, key=lambda row: (-row.ts, -row.pk))]
        flush()
        make.event(other, "later", ts=T0)
        with override_settings(HOT_EVENT_DAYS=hot_days):
            if while_reading:
                names, _ = walk(ada, limit, between=lambda: purge_hot_events(now))
                assert names == expected
            purge_hot_events(now)
        assert walk(ada, limit)[0] == expected
        found = [
            events_page(EventFilter(), customer_id=ada.public_id, page=page, limit=limit, clear=True)
            for page in range(1, len(rows) // limit + 2)
        ]
        assert [view.event_name for page in found for view in page.data] == expected
        assert {page.total for page in found} == {len(rows)}
        newest = recent_events([ada.pk, guest.pk], limit=limit, known=len(rows), clear=True)
        assert [view.event_name for view in newest] == expected[:limit]
        left = set(Event.objects.values_list("name", flat=True)) - {"later", "other"}
        assert left == {f"e{n}" for n, (day, _) in enumerate(moments) if day >= 7 - hot_days}

    def test_an_old_event_shows_what_the_lake_has(self):
        shop = make.source("shop")
        ada, guest = make.profile(), make.profile()
        make.merge(ada, guest)
        make.event(
            guest,
            "Order Completed",
            ts=T0,
            properties={"revenue": 12.5, "currency": "EUR", "deep": {"er": True}, "email": "a@example.com", "n": 3},
            context={"campaign": {"source": "mail"}, "ip": "10.1.2.0"},
            of=shop,
        )
        seen = timeline(ada, clear=True).data[0]
        flush()
        assert purge_hot_events(T0 + 365 * DAY) == 1
        old = timeline(ada, clear=True).data[0]
        assert old_event(uuid.UUID(seen.id).bytes, clear=True) == old
        assert old_event(uuid.uuid4().bytes, clear=True) is None
        assert old == msgspec.structs.replace(
            seen,
            message_id="",
            properties={"revenue": 12.5, "currency": "EUR", "deep": {"er": True}, "n": 3},
            context={"campaign": {"source": "mail"}},
        )
        for wanted, names in (
            ({"type": "PURCHASE", "source": "shop", "name": "Order Completed"}, ["Order Completed"]),
            ({"source": "app"}, []),
            ({"type": "PAGE_VIEW"}, []),
            ({"endDate": "2025-12-31"}, []),
        ):
            assert ids(timeline(ada, wanted=EventFilter.of(wanted), clear=True)) == names
            assert ids(events_after(EventFilter.of(wanted), clear=True)) == names
