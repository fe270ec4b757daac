"""A second provider is a folder and a line: here is one, registered as a new one would be."""

from typing import Any

import pytest
from django.test import Client

from cdp.access.models import Source
from integrations.afterwards import finish
from integrations.fields import profile_fields
from integrations.lookup import look_up
from integrations.mapping import Mapping, Rule
from integrations.models import Integration
from integrations.provider import Account, Entry, Fetched, FetchFailed, Provider
from integrations.providers import PROVIDERS, provider_of
from tests import factories as make

pytestmark = pytest.mark.django_db


class Toy:
    """All that another provider needs."""

    code = "toy"
    name = "Toy CDP"
    form = (Entry("region", "Region"), Entry("api_key", "API key", kind="secret"))
    mapping = Mapping(fields={"nickname": Rule("nick", "text", personal=True), "level": Rule("lvl", "integer")})

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def fetch(self, account: Account, customer_id: str, *, seconds: float) -> Fetched:
        """Knows everybody but Eve."""
        self.asked.append((account.config["region"], account.secrets["api_key"], customer_id))
        if customer_id == "eve":
            raise FetchFailed("unauthorized", "It refused the API key.")
        return Fetched({"nick": customer_id.title(), "lvl": "7", "has_toy": 1}, 200)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The one line."""
    made = Toy()
    monkeypatch.setitem(PROVIDERS, made.code, made)
    return made


def test_everything_works_with_it(toy: Toy, client: Client):
    checked: Provider = toy
    client.force_login(make.user("root", administrator=True))
    assert "Connect Toy CDP" in client.get("/admin/integrations/integration/add/").content.decode()
    given = {"name": "Toys", "active": "on", "rollout": 100, "write_traits": "on", "mapping": "", "config_region": "eu",
             "config_api_key": "k-1"}  # fmt: skip
    assert client.post("/admin/integrations/integration/add/?provider=toy", given).status_code == 302
    made = Integration.objects.get()
    tested = client.post(f"/admin/integrations/integration/{made.pk}/test/", {"customer_id": "ann"})
    assert "The connection works" in tested.content.decode()
    person = make.profile()
    make.identifier(person, "user_id", "ada")
    answer = look_up("ada")
    assert (answer.source, answer.profile) == (
        "toy",
        {"nickname": "Ada", "level": 7, "attributes": {"has_toy": True}},
    )
    assert toy.asked == [("eu", "k-1", "ann"), ("eu", "k-1", "ada")]
    fields = profile_fields()
    assert (fields["nickname"].personal, fields["level"].personal) == (True, False)
    assert fields["attributes.has_toy"].type == "boolean"
    finish()
    assert Source.objects.filter(name="toy").exists()
    assert look_up("eve").fallback_reason == "unauthorized"
    finish()
    made.refresh_from_db()
    assert (made.active, made.last_error) == (False, "It refused the API key.")
    assert provider_of("toy") is checked


def test_the_pages_survive_a_provider_that_is_gone(client: Client, db: Any):
    client.force_login(make.user("root", administrator=True))
    made = Integration.objects.create(provider="gone", name="Old", created_at=1, updated_at=1)
    page = "/admin/integrations/integration/"
    assert "gone (not installed)" in client.get(page).content.decode()
    assert client.get(f"{page}{made.pk}/change/").status_code == 200
    tested = client.post(f"{page}{made.pk}/test/")
    assert (tested.status_code, "There is no provider" in tested.content.decode()) == (200, True)
    assert look_up("C1").fallback_reason == "not_configured"
    assert "customer_id" in profile_fields()
