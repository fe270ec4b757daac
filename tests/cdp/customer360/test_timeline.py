"""The timeline (P8): keyset pages over every profile of a person, and the listing of events (E1)."""

import uuid

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from cdp.core.clock import DAY, iso
from cdp.core.errors import Invalid, NotFound
from cdp.customer360.event_view import EventView
from cdp.customer360.timeline import EventFilter, events_after, events_page, timeline
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
        with django_assert_num_queries(3):
            assert timeline(ada, clear=True).data == [expected]
        masked = timeline(ada, clear=False).data[0]
        assert masked.properties == {"sku": "A1", "email": "a***@e***.com", "note": {"by": "b***@e***.org"}}
        assert masked.context == {"device": {"id": "phone-1"}, "ip": "1***"}

    @pytest.mark.parametrize("count", [1, 3])
    def test_constant_number_of_queries(self, count, django_assert_num_queries):
        ada = make.profile()
        for number in range(count):
            make.event(ada, ts=T0 + number)
        with django_assert_num_queries(3):
            assert len(timeline(ada, clear=True).data) == count
        with django_assert_num_queries(2):
            assert len(events_after(EventFilter(), clear=True).data) == count
        with django_assert_num_queries(2):
            assert events_page(EventFilter(), clear=True).total == count

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
