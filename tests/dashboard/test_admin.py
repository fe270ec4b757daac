"""Every page of the admin: opens for an administrator, is refused to strangers, and is masked where it must be."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.urls import reverse

from cdp.access.models import ApiKey, AuditEntry, Source, User, WriteKey
from cdp.core.clock import DAY, HOUR, now_us, to_us
from cdp.customer360.search import forget_namespaces
from cdp.events.models import Event
from cdp.identities.decisions import Decision
from cdp.pipeline.models import Counter
from cdp.profiles.models import Merge, Profile
from dashboard.overview import overview
from tests import factories as make

pytestmark = pytest.mark.django_db
VIEW = ("profiles.view_profile", "events.view_event", "profiles.view_merge")


@pytest.fixture(autouse=True)
def _no_numbers_kept():
    cache.clear()


@pytest.fixture
def administrator(client):
    client.force_login(make.user("root", administrator=True))
    return client


@pytest.fixture
def viewer(client):
    client.force_login(make.user("vera", permissions=VIEW))
    return client


@pytest.fixture
def ada():
    """A person of two profiles whom an event joined."""
    now = now_us()
    shop = make.source("shop")
    person = make.profile(at=now)
    guest = make.profile(at=now + 1)
    email = make.identifier(person, "email", "ada@example.com", verified_at=now)
    device = make.identifier(guest, "device_id", "phone-1")
    make.identifier(person, "external", "7001", namespace="shopify")
    make.traits(person, of=shop, firstName="Ada", lastName="Byron", plan="pro")
    joined = make.event(
        guest, "Signed In", ts=now, of=shop, decision=Decision.MERGED, properties={"by": "ada@example.com"}
    )
    make.merge(
        person, guest, event=bytes(joined.digest), via_target=bytes(email.digest), via_source=bytes(device.digest)
    )
    make.session(guest, started=now - 60_000_000, last=now, event_count=2, entry={"utm_source": "news"})
    make.recount(guest)
    return person


def pages():
    """The name of every list and add page of every registered model."""
    for model in admin.site._registry:
        yield pytest.param(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", id=model.__name__)


def text_of(response):
    assert response.status_code == 200, response.status_code
    return response.content.decode()


@pytest.mark.parametrize("name", [*pages(), pytest.param("admin:index", id="overview")])
class TestEveryPage:
    def test_opens_for_an_administrator(self, name, administrator, ada):
        assert "Porta Futuri CDP" in text_of(administrator.get(reverse(name)))

    def test_sends_strangers_to_the_sign_in(self, name, client):
        answer = client.get(reverse(name))
        assert (answer.status_code, answer.url) == (302, f"{reverse('admin:login')}?next={reverse(name)}")

    def test_needs_more_than_an_account(self, name, client):
        client.force_login(User.objects.create_user("customer"))
        assert client.get(reverse(name)).status_code == 302


@pytest.mark.parametrize("name", pages())
def test_staff_without_rights_see_no_list(name, client):
    client.force_login(make.user("nobody"))
    assert client.get(reverse(name)).status_code == 403


def test_the_root_leads_to_the_console(client):
    assert client.get("/").url == reverse("admin:index")


class TestPeople:
    @pytest.mark.parametrize("count", [1, 3])
    def test_the_list_needs_the_same_queries_for_any_number(self, count, administrator, django_assert_num_queries):
        for number in range(count):
            person = make.profile()
            make.identifier(person, "email", f"p{number}@example.com")
            make.traits(person, name=f"Person {number}")
        administrator.get(reverse("admin:profiles_profile_changelist"))
        with django_assert_num_queries(9):
            page = text_of(administrator.get(reverse("admin:profiles_profile_changelist")))
        assert page.count("@example.com") == count

    @pytest.mark.parametrize(
        "typed", ["ada@example.com", "ADA@Example.com ", "phone-1", "7001", "shopify:7001", "{public}", "{fragment}"]
    )
    def test_is_found_by_any_identifier(self, typed, administrator, ada):
        forget_namespaces()
        make.identifier(make.profile(), "email", "bob@example.com")
        fragment = Profile.objects.exclude(pk=ada.pk).get(person=ada)
        typed = typed.format(public=ada.public_id, fragment=fragment.public_id)
        page = text_of(administrator.get(reverse("admin:profiles_profile_changelist"), {"q": typed}))
        assert ("Ada Byron" in page, "bob@example.com" in page) == (True, False)

    def test_nobody_is_found(self, administrator, ada):
        page = text_of(administrator.get(reverse("admin:profiles_profile_changelist"), {"q": "eve@example.com"}))
        assert ("Ada Byron" in page, "Nothing matches" in page) == (False, True)

    def test_the_page_of_a_person(self, administrator, ada, django_assert_num_queries):
        address = reverse("admin:profiles_profile_change", args=[ada.pk])
        administrator.get(address)
        with django_assert_num_queries(22):
            page = text_of(administrator.get(address))
        for part in (
            "Ada Byron", "ada@example.com", "shopify", "phone-1", "plan", "Signed In", "source: news",
            "One event carried the email “ada@example.com” of the one and the device id “phone-1” of the other.",
            "Undo this merge", "why?", "First seen", "Engagement",
        ):  # fmt: skip
            assert part in page, part

    def test_any_profile_leads_to_its_person(self, administrator, ada):
        fragment = Profile.objects.exclude(pk=ada.pk).get(person=ada)
        answer = administrator.get(reverse("admin:profiles_profile_change", args=[fragment.pk]))
        assert answer.url == reverse("admin:profiles_profile_change", args=[ada.pk])

    def test_is_masked_without_the_right_and_then_not_audited(self, viewer, ada):
        event = Event.objects.get()
        for address in (
            reverse("admin:profiles_profile_changelist"),
            reverse("admin:profiles_profile_change", args=[ada.pk]),
            reverse("admin:profiles_profile_timeline", args=[ada.pk]),
            reverse("admin:events_event_change", args=[event.pk]),
        ):
            page = text_of(viewer.get(address))
            assert ("ada@example.com" in page, "Byron" in page) == (False, False)
        assert "you do not have the right" in text_of(
            viewer.get(reverse("admin:profiles_profile_change", args=[ada.pk]))
        )
        assert AuditEntry.objects.count() == 0

    def test_every_view_in_clear_is_audited(self, administrator, ada):
        administrator.get(reverse("admin:profiles_profile_change", args=[ada.pk]))
        administrator.get(reverse("admin:profiles_profile_changelist"))
        entries = AuditEntry.objects.order_by("id").values_list("actor", "object_type", "object_ids", "fields")
        actor = f"user:{User.objects.get().pk}"
        assert list(entries) == [
            (
                actor,
                "profile",
                [str(ada.public_id)],
                ["device id", "email", "events", "external · shopify", "firstName", "lastName"],
            ),
            (actor, "profile", [str(ada.public_id)], ["contact", "name"]),
        ]

    def test_the_timeline_goes_on(self, administrator):
        person = make.profile()
        for number in range(30):
            make.event(person, f"Event {number:02}", ts=make.T0 + number)
        address = reverse("admin:profiles_profile_change", args=[person.pk])
        first = administrator.get(address)
        more = first.context["more"]
        assert ("Event 05" in text_of(first), "Event 04" in text_of(first)) == (True, False)
        for link in (more["page"], more["rows"]):
            rest = text_of(administrator.get(link))
            assert ("Event 05" in rest, "Event 04" in rest, "Event 00" in rest) == (False, True, True)
        assert administrator.get(address, {"cursor": "nonsense"}).status_code == 404
        assert "No such event." in text_of(administrator.get(address, {"type": "PURCHASE"}))

    @pytest.mark.parametrize("number", ["999999", "abc"])
    def test_of_nobody(self, number, administrator):
        assert administrator.get(f"/admin/profiles/profile/{number}/change/").status_code == 404


class TestEvents:
    def test_the_page_explains(self, administrator, ada):
        event = Event.objects.get()
        page = text_of(administrator.get(reverse("admin:events_event_change", args=[event.pk])))
        assert "The identifiers belonged to several people" in page
        by_id = administrator.get(f"/admin/events/event/{bytes(event.digest).hex()}/change/")
        assert text_of(by_id)

    @pytest.mark.parametrize("number", ["999999", "abc", "9" * 30])
    def test_of_nothing(self, number, administrator):
        assert administrator.get(f"/admin/events/event/{number}/change/").status_code == 404

    def test_search_and_filters(self, administrator, ada):
        make.event(ada, "Order Completed")
        listing = reverse("admin:events_event_changelist")

        def names(**query):
            return [event.name for event in administrator.get(listing, query).context["cl"].result_list]

        assert names() == ["Signed In", "Order Completed"]
        assert names(q="Order Completed") == names(type="PURCHASE") == ["Order Completed"]
        assert names(decision="3") == ["Signed In"]
        assert names(q=bytes(Event.objects.get(name="Signed In").digest).hex()) == ["Signed In"]
        assert names(decision="x") == ["Signed In", "Order Completed"]


class TestSources:
    def save(self, client, origins):
        asked = {"name": "shop", "kind": "browser", "priority": 100, "rate_limit": 0, "allowed_origins": origins}
        none = {"write_keys-TOTAL_FORMS": 0, "write_keys-INITIAL_FORMS": 0}
        return client.post(reverse("admin:access_source_add"), {**asked, **none})

    def test_origins_are_written_one_a_line(self, administrator):
        assert self.save(administrator, " https://shop.example\r\n\r\nhttps://*.shop.example:8443 ").status_code == 302
        made = Source.objects.get(name="shop")
        assert made.allowed_origins == ["https://shop.example", "https://*.shop.example:8443"]
        page = text_of(administrator.get(reverse("admin:access_source_change", args=[made.pk])))
        assert "https://shop.example\nhttps://*.shop.example:8443</textarea>" in page

    @pytest.mark.parametrize("wrong", ["shop.example", '["https://shop.example"]', "https://shop.example/path"])
    def test_what_is_no_origin_is_refused(self, wrong, administrator):
        assert "is no origin" in text_of(self.save(administrator, wrong))
        assert Source.objects.count() == 0


class TestKeys:
    def test_a_write_key_is_made_by_post_and_shown_once(self, administrator):
        source = make.source("shop")
        address = reverse("admin:access_source_new_write_key", args=[source.pk])
        assert "Make the key" in text_of(administrator.get(address))
        assert WriteKey.objects.count() == 0
        answer = administrator.post(address)
        key = answer.context["key"]
        assert (key in text_of(answer), "no-store" in answer["Cache-Control"]) == (True, True)
        assert WriteKey.objects.get().source == source
        change = reverse("admin:access_source_change", args=[source.pk])
        page = text_of(administrator.get(change))
        assert (key in page, key[:6] in page) == (False, True)

    def test_an_api_key_is_shown_once_and_revoked(self, administrator):
        asked = {"name": "shop", "scopes": ["read", "ingest"], "rate_limit": 60}
        answer = administrator.post(reverse("admin:access_apikey_add"), asked)
        key = answer.context["key"]
        made = ApiKey.objects.get()
        assert (made.scopes, made.rate_limit, key in text_of(answer)) == (["ingest", "read"], 60, True)
        listing = reverse("admin:access_apikey_changelist")
        assert key not in text_of(administrator.get(listing))
        administrator.post(listing, {"action": "revoke", "_selected_action": [made.pk]})
        assert ApiKey.objects.exclude(revoked_at=None).count() == 1

    def test_the_same_name_twice_is_refused_in_the_form(self, administrator):
        asked = {"name": "shop", "scopes": ["read"], "rate_limit": 60}
        for _ in range(2):
            answer = administrator.post(reverse("admin:access_apikey_add"), asked)
        assert "already exists" in text_of(answer)

    def test_keys_need_the_right(self, viewer):
        source = make.source("shop")
        assert viewer.post(reverse("admin:access_source_new_write_key", args=[source.pk])).status_code == 403
        assert viewer.get(reverse("admin:access_apikey_add")).status_code == 403
        assert WriteKey.objects.count() == 0


class TestMerges:
    def test_undo_asks_and_then_separates(self, administrator, ada):
        merge = Merge.objects.get()
        address = reverse("admin:profiles_merge_undo", args=[merge.pk])
        assert "Undo the merge" in text_of(administrator.get(address))
        merge.refresh_from_db()
        assert merge.active
        answer = administrator.post(address, follow=True)
        assert "these are 2 people now" in text_of(answer)
        merge.refresh_from_db()
        assert not merge.active
        assert "is undone already" in text_of(administrator.get(address))
        assert "undone already" in text_of(administrator.post(address, follow=True))

    def test_undo_needs_the_right(self, viewer, ada):
        address = reverse("admin:profiles_merge_undo", args=[Merge.objects.get().pk])
        assert (viewer.get(address).status_code, viewer.post(address).status_code) == (403, 403)
        assert "Undo this merge" not in text_of(viewer.get(reverse("admin:profiles_profile_change", args=[ada.pk])))
        assert Merge.objects.get().active


class TestOverview:
    def test_before_the_first_event(self, administrator):
        page = text_of(administrator.get(reverse("admin:index")))
        assert ("Send your first event" in page, "No event in the last 24 hours" in page) == (True, True)

    def test_with_events(self, administrator, ada):
        answer = administrator.get(reverse("admin:index"))
        assert "Send your first event" not in text_of(answer)
        assert {card.label: card.value for card in answer.context["cards"]} == {
            "People": "1",
            "Events today": "1",
            "Waiting": "0",
            "Quarantine": "0",
            "Stopped by consent": "0",
            "Sources": "1",
        }
        assert [hour.count for hour in answer.context["hours"]][-1] == 1
        assert Source.objects.count() == 1

    def test_today_is_the_time_of_the_event_and_not_of_its_processing(self, settings):
        settings.TIME_ZONE = "Europe/Vilnius"
        midnight = to_us(datetime(2026, 5, 1, tzinfo=ZoneInfo("Europe/Vilnius")))
        person = make.profile()
        for ts in (midnight - 1, midnight, midnight + HOUR, midnight + 9 * HOUR):
            make.event(person, ts=ts)
        Counter.objects.create(day=midnight // DAY, source_id=1, outcome="processed", count=500)
        assert overview(midnight + 2 * HOUR).events_today == 2
