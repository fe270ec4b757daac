"""The console's pages of widget keys: made, edited, secrets shown once, everything in the audit."""

import re

import pytest
from django.urls import reverse

from cdp.access.models import AuditEntry, Source
from tests import factories as make
from tests.shops import ORIGIN, Shop, new_shop
from widget_api.models import WidgetKey, WidgetSecret

pytestmark = pytest.mark.django_db
LIST = "admin:widget_api_widgetkey_changelist"
FORM = {
    "name": "Main shop",
    "enabled": "on",
    "allowed_origins": f"{ORIGIN}\nhttps://*.shop.example",
    "allowed_fields": ["country", "first_name"],
    "rate_limit": 600,
    "visitor_limit": 30,
    "open_limit": 5,
    "secrets-TOTAL_FORMS": 0,
    "secrets-INITIAL_FORMS": 0,
}


@pytest.fixture
def administrator(client):
    client.force_login(make.user("root", administrator=True))
    return client


def change(shop: Shop) -> str:
    return reverse("admin:widget_api_widgetkey_change", args=[shop.row.pk])


def audit() -> list[tuple[str, str, list[str]]]:
    return [(e.action, e.object_type, e.fields) for e in AuditEntry.objects.order_by("id")]


def test_a_key_is_made_with_a_source_of_its_own(administrator):
    answer = administrator.post(reverse("admin:widget_api_widgetkey_add"), FORM)
    row = WidgetKey.objects.get()
    assert answer.status_code == 302
    assert re.fullmatch(r"pk_[\w-]{32}", row.key)
    assert (row.allowed_origins, row.allowed_fields) == ([ORIGIN, "https://*.shop.example"], ["country", "first_name"])
    assert (row.source.name, row.source.kind, row.source.enabled) == ("Widget: Main shop", Source.Kind.BROWSER, True)
    assert audit()[0][:2] == ("add", "widgetkey")
    page = administrator.get(reverse("admin:widget_api_widgetkey_change", args=[row.pk])).content.decode()
    assert f"data-key=&quot;{row.key}&quot;" in page


def test_an_open_lookup_is_warned_of_at_every_save(administrator, shop):
    answer = administrator.post(change(shop), {**FORM, "open_lookup": "on"}, follow=True)
    assert "Open look-up is on" in answer.content.decode()
    assert WidgetKey.objects.get().open_lookup is True
    action, _, fields = audit()[-1]
    assert (action, "open_lookup" in fields) == ("change", True)
    assert "Open look-up is on" not in administrator.post(change(shop), FORM, follow=True).content.decode()


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "*", "https://*", "javascript:alert(1)"])
def test_what_is_no_origin_is_refused(origin, administrator):
    answer = administrator.post(reverse("admin:widget_api_widgetkey_add"), {**FORM, "allowed_origins": origin})
    assert (answer.status_code, WidgetKey.objects.count()) == (200, 0)
    assert "is no origin" in answer.content.decode()


def test_a_secret_is_shown_once(administrator, shop):
    page = reverse("admin:widget_api_widgetkey_new_secret", args=[shop.row.pk])
    assert "ws_" not in administrator.get(page).content.decode()
    shown = administrator.post(page)
    secret = re.search(r"ws_[\w-]{43}", shown.content.decode()).group()
    assert "no-store" in shown.headers["Cache-Control"]
    made = WidgetSecret.objects.exclude(kid=shop.kid).get()
    assert made.kid in shown.content.decode()
    assert shop.ref.secrets[made.kid] == secret.encode()
    for address in (page, change(shop), reverse(LIST)):
        assert "ws_" not in administrator.get(address).content.decode()
    assert audit()[-1] == ("new secret", "widgetkey", ["secrets"])
    refused = administrator.post(page, follow=True)
    assert "Two secrets are active already" in refused.content.decode()
    assert WidgetSecret.objects.count() == 2


def test_a_secret_is_retired(administrator, shop):
    secret = WidgetSecret.objects.get()
    page = reverse("admin:widget_api_widgetkey_retire", args=[shop.row.pk, secret.pk])
    assert page in administrator.get(change(shop)).content.decode()
    administrator.get(page)
    assert shop.ref.secrets != {}
    administrator.post(page)
    assert shop.ref.secrets == {}
    assert audit()[-1] == ("retire secret", "widgetkey", ["secrets"])
    other = new_shop("Other")
    wrong = reverse("admin:widget_api_widgetkey_retire", args=[other.row.pk, secret.pk])
    assert administrator.post(wrong).status_code == 404


@pytest.mark.parametrize("name", ["new_secret", "retire"])
def test_who_may_only_look_changes_nothing(name, client, shop):
    client.force_login(make.user("vera", permissions=("widget_api.view_widgetkey",)))
    assert client.get(reverse(LIST)).status_code == 200
    more = [] if name == "new_secret" else [WidgetSecret.objects.get().pk]
    page = reverse(f"admin:widget_api_widgetkey_{name}", args=[shop.row.pk, *more])
    assert client.post(page).status_code == 403
    assert [secret.retired_at for secret in WidgetSecret.objects.all()] == [None]


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_needs_the_same_queries_for_any_number(count, administrator, django_assert_num_queries):
    for number in range(count):
        new_shop(f"Shop {number}")
    administrator.get(reverse(LIST))
    with django_assert_num_queries(5):
        page = administrator.get(reverse(LIST)).content.decode()
    assert page.count(">pk_") == count
