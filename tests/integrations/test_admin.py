"""The console: connecting a CDP, testing it, seeing how it does."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from cdp.access.models import AuditEntry, User
from cdp.core.clock import HOUR, SECOND, now_us
from integrations.afterwards import finish
from integrations.connection import account_of, open_secrets
from integrations.lookup import look_up
from integrations.models import Integration, RequestLog
from integrations.providers import provider_of
from tests import factories as make
from tests.integrations.upstream import RESOURCE, TOKEN, WORKSPACE, Upstream, connect, row

pytestmark = pytest.mark.django_db

LIST = "/admin/integrations/integration/"
ADD = f"{LIST}add/?provider=exacaster"


@pytest.fixture
def administrator(client: Client) -> Client:
    client.force_login(make.user("root", administrator=True))
    return client


def form(upstream: Upstream, **columns: Any) -> dict[str, Any]:
    given = {f"config_{name}": value for name, value in upstream.settings().items()}
    return {"name": "Exacaster", "config_bearer_token": TOKEN, "rollout": 100, "active": "on", "mapping": "",
            **given, **columns}  # fmt: skip


def page(client: Client, address: str, **query: Any) -> str:
    answer = client.get(address, query, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def change_page(pk: int) -> str:
    return reverse("admin:integrations_integration_change", args=[pk])


def errors(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors)


def test_connecting_as_the_guide_says(administrator: Client, upstream: Upstream):
    upstream.people["C1"] = row("C1", has_pet=1)
    assert "Connect CDP" in page(administrator, "/admin/")
    assert "Connect CDP" in page(administrator, LIST)
    assert "Exacaster CVM Platform" in page(administrator, f"{LIST}add/")
    assert "Bearer token" in page(administrator, ADD)
    answer = administrator.post(ADD, form(upstream))
    made = Integration.objects.get()
    test = reverse("admin:integrations_integration_test_connection", args=[made.pk])
    assert (answer.status_code, answer["Location"]) == (302, test)
    assert (made.provider, made.active, made.test_status, made.config) == (
        "exacaster", True, "untested", upstream.settings(),
    )  # fmt: skip
    assert open_secrets(made) == {"bearer_token": TOKEN}
    assert made.created_by == User.objects.get()
    result = administrator.post(test, {"customer_id": "C1"}).content.decode()
    assert "The connection works" in result
    assert "HTTP 200) with 11 columns" in result
    made.refresh_from_db()
    assert (made.test_status, made.last_error, made.columns["has_pet"]) == ("success", "", "boolean")
    assert abs(now_us() - (made.last_tested_at or 0)) < 60 * SECOND
    assert look_up("C1").source == "exacaster"
    assert "Connect CDP" not in page(administrator, "/admin/")


def test_every_change_and_test_is_in_the_audit(administrator: Client, upstream: Upstream):
    administrator.post(ADD, form(upstream))
    made = Integration.objects.get()
    administrator.post(change_page(made.pk), form(upstream, name="CVM", config_bearer_token="new-token", rollout=50))
    administrator.post(reverse("admin:integrations_integration_test_connection", args=[made.pk]))
    administrator.post(f"{LIST}{made.pk}/delete/", {"post": "yes"})
    actor = f"user:{User.objects.get().pk}"
    entries = AuditEntry.objects.filter(object_type="integration").order_by("id")
    assert list(entries.values_list("actor", "action", "fields")) == [
        (actor, "add", ["active", "config_api_url", "config_bearer_token", "config_resource_id",
                        "config_workspace_id", "mapping", "name", "rollout", "write_traits"]),
        (actor, "change", ["config_bearer_token", "name", "rollout"]),
        ("system", "deactivate", ["active", "test_status"]),
        (actor, "test connection: failed", []),
        (actor, "delete", []),
    ]  # fmt: skip
    assert {tuple(ids) for ids in entries.values_list("object_ids", flat=True)} == {(str(made.public_id),)}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("401", "It refused the bearer token (HTTP 401)."),
        ("403", "It refused the bearer token (HTTP 403)."),
        ("404", "no such customer"),
        ("429", "It said that it is asked too often."),
        ("500", "It answered with an error (HTTP 500)."),
        ("malformed", "Its answer is no JSON."),
        ("html", "Its answer is no JSON."),
        ("wrong_type", "neither a list of rows nor an object"),
        ("huge", "Its answer is too large."),
        ("closes", "It cannot be reached."),
        ("redirect", "It answered with a redirect (HTTP 302), which is not followed."),
        ("slow", "It did not answer in time."),
    ],
)
def test_a_test_says_what_is_wrong(fault: str, sentence: str, administrator: Client, upstream: Upstream, settings: Any):
    settings.CDP_REQUEST_TIMEOUT = 300 if fault == "slow" else 5000
    upstream.fault = fault
    made = connect(upstream)
    result = administrator.post(reverse("admin:integrations_integration_test_connection", args=[made.pk]))
    assert sentence in result.content.decode()
    made.refresh_from_db()
    works = fault == "404"
    assert made.test_status == ("success" if works else "failed")
    assert works or sentence in made.last_error
    assert made.active is (fault not in ("401", "403"))
    assert works or sentence in page(administrator, LIST)


def test_an_address_in_a_private_network(administrator: Client, upstream: Upstream, settings: Any):
    settings.OUTBOUND_ALLOW = ()
    made = connect(upstream)
    result = administrator.post(reverse("admin:integrations_integration_test_connection", args=[made.pk]))
    assert "OUTBOUND_ALLOW" in result.content.decode()
    assert upstream.requests == []


class TestTheToken:
    def test_is_never_shown_and_kept_encrypted(self, administrator: Client, upstream: Upstream):
        administrator.post(ADD, form(upstream))
        made = Integration.objects.get()
        assert TOKEN.encode() not in bytes(made.credentials or b"")
        for address in (LIST, change_page(made.pk), f"{change_page(made.pk)}../history/", "/admin/"):
            assert TOKEN not in page(administrator, address)
        assert TOKEN not in json.dumps(list(AuditEntry.objects.values("fields", "action", "object_ids")))
        refused = administrator.post(change_page(made.pk), form(upstream, name="", config_bearer_token="other-token"))
        assert "name" in errors(refused)
        assert "other-token" not in refused.content.decode()

    def test_blank_keeps_it(self, administrator: Client, upstream: Upstream):
        made = connect(upstream)
        administrator.post(change_page(made.pk), form(upstream, config_bearer_token="", name="Other"))
        made.refresh_from_db()
        assert (made.name, open_secrets(made)) == ("Other", {"bearer_token": TOKEN})

    def test_is_not_sent_to_another_server_by_changing_the_address(self, administrator: Client, upstream: Upstream):
        made = connect(upstream)
        elsewhere = {"config_api_url": "https://evil.example/api", "config_bearer_token": ""}
        answer = administrator.post(change_page(made.pk), form(upstream, **elsewhere))
        assert list(errors(answer)) == ["config_bearer_token"]
        made.refresh_from_db()
        assert made.config == upstream.settings()
        other_path = {"config_api_url": f"{upstream.url}/", "config_bearer_token": ""}
        assert administrator.post(change_page(made.pk), form(upstream, **other_path)).status_code == 302
        elsewhere["config_bearer_token"] = "typed-again"
        assert administrator.post(change_page(made.pk), form(upstream, **elsewhere)).status_code == 302

    def test_of_the_environment_is_for_its_address_only(self, administrator: Client, upstream: Upstream, settings: Any):
        settings.EXACASTER_API_URL, settings.EXACASTER_BEARER_TOKEN = "https://cdp.example/v1", TOKEN
        settings.EXACASTER_WORKSPACE_ID, settings.EXACASTER_RESOURCE_ID = WORKSPACE, RESOURCE
        blank = dict.fromkeys(("config_api_url", "config_workspace_id", "config_resource_id"), "")
        refused = administrator.post(ADD, form(upstream, config_bearer_token=""))
        assert errors(refused) == {"config_bearer_token": ["This is needed."]}
        assert administrator.post(ADD, form(upstream, config_bearer_token="", **blank)).status_code == 302
        made = Integration.objects.get()
        assert (made.config, made.credentials) == ({}, None)
        account = account_of(made, provider_of("exacaster"))
        assert account.config == {
            "api_url": "https://cdp.example/v1", "workspace_id": WORKSPACE, "resource_id": RESOURCE,
        }  # fmt: skip
        assert account.secrets == {"bearer_token": TOKEN}
        assert TOKEN not in page(administrator, change_page(made.pk))
        assert TOKEN not in repr(account)


class TestTheForm:
    @pytest.mark.parametrize(
        "address",
        ["nonsense", "ftp://x.example", "https://", "https://user:pw@x.example", "https://x.example/?a=b", "https://["],
    )
    def test_refuses_what_is_no_address(self, address: str, administrator: Client, upstream: Upstream):
        answer = administrator.post(ADD, form(upstream, config_api_url=address))
        assert list(errors(answer)) == ["config_api_url"]
        assert Integration.objects.count() == 0

    def test_refuses_http_without_allowed_networks(self, administrator: Client, upstream: Upstream, settings: Any):
        settings.OUTBOUND_ALLOW = ()
        answer = administrator.post(ADD, form(upstream))
        assert "Write https://" in errors(answer)["config_api_url"][0]

    def test_says_what_is_missing(self, administrator: Client, upstream: Upstream):
        answer = administrator.post(ADD, form(upstream, config_workspace_id=" ", config_bearer_token=""))
        assert sorted(errors(answer)) == ["config_bearer_token", "config_workspace_id"]

    def test_only_one_is_active(self, administrator: Client, upstream: Upstream):
        connect(upstream)
        answer = administrator.post(ADD, form(upstream, name="Second"))
        assert "Another integration is active" in errors(answer)["__all__"][0]
        off = {name: value for name, value in form(upstream, name="Second").items() if name != "active"}
        assert administrator.post(ADD, off).status_code == 302
        assert administrator.get(ADD).context["adminform"].form.initial["active"] is False

    @pytest.mark.parametrize(
        ("mapping", "sentence"),
        [
            ("{", "valid JSON"),
            ('{"fields": {"a": {}}}', "missing required field `column` - at `$.fields[...]`"),
            ('{"fields": {"a": {"column": "x", "type": "colour"}}}', "Invalid enum value 'colour'"),
            ('{"fields": {"attributes.a": {"column": "x"}}}', "is no name of a field"),
            ('{"fields": {"a b": {"column": "x"}}}', "is no name of a field"),
            ('{"fields": {"a": {"column": "x"}, "a.b": {"column": "y"}}}', "a field and a group"),
            ('{"fields": {"a": {"column": ""}}}', "fields.a.column is blank"),
            ('{"fields": {}, "colour": 1}', "unknown field `colour`"),
        ],
    )
    def test_says_what_is_wrong_with_a_mapping(
        self, mapping: str, sentence: str, administrator: Client, upstream: Upstream
    ):
        answer = administrator.post(ADD, form(upstream, mapping=mapping))
        assert sentence in errors(answer)["mapping"][0]

    def test_a_mapping_of_ones_own(self, administrator: Client, upstream: Upstream):
        upstream.people["C1"] = row("C1", current_phone="Pixel")
        mapping = {"fields": {"device.model": {"column": "current_phone"}}, "ignore": [], "rest": "ignore"}
        administrator.post(ADD, form(upstream, mapping=json.dumps(mapping)))
        assert look_up("C1").profile == {"device": {"model": "Pixel"}}
        default = page(administrator, ADD).partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]
        from html import unescape

        administrator.post(change_page(Integration.objects.get().pk), form(upstream, mapping=unescape(default)))
        assert Integration.objects.get().mapping == {}

    def test_an_unknown_provider_leads_to_the_choice(self, administrator: Client):
        assert "Connect Exacaster CVM Platform" in page(administrator, f"{LIST}add/", provider="nothing")

    def test_a_change_makes_the_test_old(self, administrator: Client, upstream: Upstream):
        made = connect(upstream, test_status="success", last_tested_at=1)
        administrator.post(change_page(made.pk), form(upstream, config_bearer_token="", rollout=10))
        made.refresh_from_db()
        assert (made.test_status, made.rollout) == ("success", 10)
        administrator.post(change_page(made.pk), form(upstream, config_bearer_token="", config_resource_id="9"))
        made.refresh_from_db()
        assert (made.test_status, made.last_tested_at) == ("untested", None)


class TestRights:
    @pytest.mark.parametrize("address", [LIST, f"{LIST}add/", "/admin/integrations/requestlog/"])
    def test_staff_without_rights_see_nothing(self, address: str, client: Client, upstream: Upstream):
        client.force_login(make.user("vera", permissions=("profiles.view_profile",)))
        assert client.get(address).status_code == 403
        assert "Connect CDP" not in page(client, "/admin/")

    def test_who_may_only_look_cannot_test(self, client: Client, upstream: Upstream):
        made = connect(upstream)
        client.force_login(make.user("vera", permissions=("integrations.view_integration",)))
        assert client.get(LIST).status_code == 200
        test = reverse("admin:integrations_integration_test_connection", args=[made.pk])
        assert client.post(test).status_code == 403
        assert upstream.requests == []


def logged(made: Integration, *, hours: int = 0, **columns: Any) -> None:
    values = {"status": 200, "ms": 20, "cached": False, "called": True, "error": "", **columns}
    RequestLog.objects.create(integration=made, at=now_us() - hours * HOUR, customer=b"x" * 16, **values)


def test_figures_and_chart(administrator: Client, upstream: Upstream):
    made = connect(upstream)
    for ms in range(1, 20):
        logged(made, ms=ms)
    logged(made, ms=900, status=500, error="upstream_error")
    for _ in range(59):
        logged(made, ms=0, cached=True, called=False, status=0)
    logged(made, ms=0, status=0, called=False, error="circuit_open")
    logged(made, hours=25, ms=5000, error="timeout")
    shown = page(administrator, change_page(made.pk))
    for part in ("95.0 %", "73.8 %", "10 ms / 19 ms", "<title>", "As a table", "of 20 calls to the CDP"):
        assert part in shown, part
    assert "95.0 %" in page(administrator, LIST)


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_needs_the_same_queries_for_any_number(
    count: int, administrator: Client, upstream: Upstream, django_assert_num_queries: Any
):
    for number in range(count):
        logged(connect(upstream, name=f"CDP {number}", active=number == 0))
    administrator.get(LIST)
    from django.core.cache import cache

    cache.clear()
    with django_assert_num_queries(7):
        shown = page(administrator, LIST)
    assert shown.count("100.0 %") == count


def test_the_log_page_names_nobody(administrator: Client, upstream: Upstream, integration: Integration):
    upstream.people["CUSTOMER-77"] = row("CUSTOMER-77")
    look_up("CUSTOMER-77")
    upstream.fault = "500"
    look_up("CUSTOMER-78")
    finish()
    shown = page(administrator, "/admin/integrations/requestlog/")
    assert ("answered" in shown, "upstream_error" in shown) == (True, True)
    assert "CUSTOMER-7" not in shown


def test_switched_off_by_the_environment(administrator: Client, integration: Integration, settings: Any):
    settings.FEATURE_CDP_ENABLED = False
    shown = page(administrator, LIST)
    assert ("off by FEATURE_CDP_ENABLED" in shown, "Connect CDP" in shown) == (True, False)
    assert "Connect CDP" not in page(administrator, "/admin/")


def test_deleting_does_not_list_the_log(administrator: Client, integration: Integration):
    for _ in range(3):
        logged(integration)
    assert "look-up" not in page(administrator, f"{LIST}{integration.pk}/delete/").partition("<main")[2].lower()
    administrator.post(f"{LIST}{integration.pk}/delete/", {"post": "yes"})
    assert (Integration.objects.count(), RequestLog.objects.count()) == (0, 0)


@pytest.mark.parametrize("pk", ["999999", "abc"])
def test_of_nothing(pk: str, administrator: Client):
    assert administrator.get(f"{LIST}{pk}/change/").status_code in (302, 404)
    assert administrator.get(f"{LIST}{pk}/test/").status_code == 404
