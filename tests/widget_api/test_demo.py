"""The demo page: who sees which key, who may have a token signed, and that this leaves a trace."""

import re

import pytest

from cdp.access.models import AuditEntry
from cdp.core.clock import now_us
from tests import factories as make
from tests.shops import new_shop
from widget_api.keys import widget_key_of
from widget_api.models import WidgetKey
from widget_api.tokens import customer_of

pytestmark = pytest.mark.django_db


def test_strangers_name_the_key_themselves(client, shop):
    assert shop.row.key not in client.get("/widget/demo").content.decode()
    page = client.get(f"/widget/demo?key={shop.row.key}").content.decode()
    assert f'data-key="{shop.row.key}"' in page
    assert "signed token" not in page
    assert '<select name="key">' not in page


def test_administrators_choose_one(client, shop):
    new_shop("Another")
    client.force_login(make.user("root", administrator=True))
    page = client.get("/widget/demo").content.decode()
    assert re.findall(r'value="pk_[^>]+>(\w+)<', page) == ["Another", "Shop"]


def test_an_administrator_makes_a_demo_key(client):
    client.force_login(make.user("root", administrator=True))
    assert "Make a demo key" in client.get("/widget/demo").content.decode()
    for _ in range(2):
        client.post("/widget/demo", {"do": "create"}, headers={"Host": "127.0.0.1:9000"})
    row = WidgetKey.objects.get()
    assert (row.open_lookup, row.allowed_origins) == (True, ["http://127.0.0.1:9000"])
    assert "country" in row.allowed_fields
    assert "first_name" not in row.allowed_fields


def test_nobody_else_does(client):
    client.post("/widget/demo", {"do": "create"})
    client.force_login(make.user("vera", permissions=("widget_api.view_widgetkey",)))
    client.post("/widget/demo", {"do": "create"})
    assert WidgetKey.objects.count() == 0


def test_who_may_see_personal_data_has_a_token_signed(client, shop):
    client.force_login(make.user("paula", permissions=("access.view_personal",)))
    shop.change(allowed_fields=["country", "first_name"])
    page = client.post(f"/widget/demo?key={shop.row.key}", {"do": "sign", "id": "CUST123"})
    token = re.search(r'data-token="([^"]+)"', page.content.decode()).group(1)
    assert customer_of(token, widget_key_of(shop.row.key), now=now_us()) == "CUST123"
    assert page.headers["Cache-Control"] == "no-store"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_type, entry.fields) == ("widget demo", "customer", ["first_name"])
    assert "CUST123" not in str(entry.object_ids)


def test_nobody_else_has(client, shop):
    for permissions in ((), ("widget_api.view_widgetkey",)):
        client.force_login(make.user(f"v{len(permissions)}", permissions=permissions))
        page = client.post(f"/widget/demo?key={shop.row.key}", {"do": "sign", "id": "CUST123"}).content.decode()
        assert 'data-token=""' in page
    assert AuditEntry.objects.count() == 0


def test_a_strict_policy(client, shop):
    policy = client.get(f"/widget/demo?key={shop.row.key}").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_needs_the_csrf_token(shop):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(make.user("root", administrator=True))
    assert client.post("/widget/demo", {"do": "create"}).status_code == 403
