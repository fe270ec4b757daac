"""Neither the token nor a customer id is in any log line, page, error, mail, table or cache."""

import logging
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client

from integrations.afterwards import finish
from integrations.connection import connected, forget_connection
from integrations.lookup import look_up
from integrations.models import Integration
from integrations.refusal import tell_administrators
from integrations.trial import try_connection
from tests import factories as make
from tests.integrations.test_lookup import FAULTS
from tests.integrations.upstream import TOKEN, Upstream, row

pytestmark = pytest.mark.django_db

CUSTOMER = "CUSTOMER-4711"
MODEL = "Galaxy of Somebody"


def every_table() -> str:
    """Every value of every table of the product, as text; bytes as they are and in hex."""
    found = []
    for table in connection.introspection.table_names():
        with connection.cursor() as cursor:
            cursor.execute(f'select * from "{table}"')
            for values in cursor.fetchall():
                for value in values:
                    if isinstance(value, bytes | memoryview):
                        found.append(bytes(value).decode("latin-1") + bytes(value).hex())
                    else:
                        found.append(str(value))
    return "\n".join(found)


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_nothing_is_told(
    fault: str, upstream: Upstream, integration: Integration, client: Client, settings: Any, caplog: Any, capfd: Any
):
    settings.CDP_REQUEST_TIMEOUT = 400
    root = make.user("root", administrator=True)
    root.email = "root@house.example"
    root.save()
    client.force_login(root)
    client.raise_request_exception = False
    upstream.people[CUSTOMER] = row(CUSTOMER, current_phone=MODEL)
    upstream.fault = fault
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("requests_hardened").setLevel(logging.DEBUG)
        answer = look_up(CUSTOMER)
        look_up(CUSTOMER)
        finish()
        integration.refresh_from_db()
        tested = try_connection(integration, CUSTOMER)
        tell_administrators()
        pages = [
            client.get(address).content.decode()
            for address in (
                "/admin/",
                "/admin/integrations/integration/",
                f"/admin/integrations/integration/{integration.pk}/change/",
                f"/admin/integrations/integration/{integration.pk}/history/",
                "/admin/integrations/requestlog/",
                "/admin/access/auditentry/",
            )
        ]
    places = {
        "logs": caplog.text + "".join(str(record.__dict__) for record in caplog.records),
        "output": "".join(capfd.readouterr()),
        "pages": "\n".join(pages),
        "tables": every_table(),
        "mail": "\n".join(str(message.message()) for message in mail.outbox),
        "test": repr(tested),
        "answer": repr({**answer.profile, "customer_id": None}),
        "connection": repr(connected()),
    }
    for place, text in places.items():
        assert TOKEN not in text, place
        assert CUSTOMER not in text, place
        assert place == "answer" or MODEL not in text, place


def test_an_error_page_with_details_hides_the_token(
    client: Client, upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    """DEBUG shows local variables of every frame."""
    settings.DEBUG = True
    client.force_login(make.user("root", administrator=True))
    client.raise_request_exception = False
    given = {f"config_{name}": value for name, value in upstream.settings().items()}
    given |= {"name": "x", "active": "on", "rollout": 100, "config_bearer_token": TOKEN, "mapping": ""}

    def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("integrations.models.Integration.save", breaks)
    answer = client.post("/admin/integrations/integration/add/?provider=exacaster", given)
    assert answer.status_code == 500
    assert TOKEN not in answer.content.decode()


@pytest.mark.skipif(not django_settings.REDIS_URL, reason="what is kept in the process never leaves it")
def test_what_is_in_redis_is_encrypted(upstream: Upstream, integration: Integration):
    upstream.people[CUSTOMER] = row(CUSTOMER, current_phone=MODEL)
    look_up(CUSTOMER)
    client = cache._cache.get_client()  # type: ignore[attr-defined]
    kept = {key: client.get(key) for key in client.scan_iter("*lookup*")}
    assert len(kept) == 1
    for key, value in kept.items():
        assert CUSTOMER.encode() not in key
        assert CUSTOMER.encode() not in value
        assert MODEL.encode() not in value
    forget_connection()
    assert look_up(CUSTOMER).cached
