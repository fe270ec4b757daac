"""Widget keys beside the rest: key rotation, a secret that cannot be read, new keys in a running process."""

from pathlib import Path
from typing import Any

import pytest

from cdp.access.models import Source
from cdp.core.clock import now_us
from cdp.core.crypto import Keyring
from cdp.pipeline.rotation import begin_rotation, retire_old_keys, rotate
from tests.shops import new_shop
from widget_api import keys
from widget_api.keys import add_secret, widget_key_of
from widget_api.models import WidgetSecret
from widget_api.tokens import customer_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ring(tmp_path: Path, settings: Any) -> Keyring:
    settings.KEYRING = Keyring.load(tmp_path / "keys.json")
    return settings.KEYRING


def test_secrets_outlive_the_key_that_they_were_encrypted_with(ring):
    shop = new_shop()
    token = shop.token("CUST123")
    version = begin_rotation()
    rotate(version, progress=lambda *_: None)
    assert retire_old_keys(version) == [1]
    assert bytes(WidgetSecret.objects.get().body)[0] == version
    assert customer_of(token, shop.ref, now=now_us()) == "CUST123"


def test_a_secret_that_cannot_be_read_leaves_the_others_alone(ring, caplog):
    shop, other = new_shop(), new_shop("Other")
    second, _ = add_secret(shop.row)
    WidgetSecret.objects.filter(kid=shop.kid).update(body=b"\x09" * 60)
    assert list(shop.ref.secrets) == [second.kid]
    assert list(other.ref.secrets) == [other.kid]
    assert shop.kid in caplog.text


def test_a_new_key_is_found_soon_and_guessing_costs_little(monkeypatch, django_assert_num_queries):
    shop = new_shop()
    now = [1000.0]
    monkeypatch.setattr(keys.time, "monotonic", lambda: now[0])
    keys.forget_widget_keys()
    assert widget_key_of(shop.row.key) is not None
    with django_assert_num_queries(0):
        assert [widget_key_of(f"pk_{n}") for n in range(100)] == [None] * 100
    keys._directory._kept, kept = None, keys._directory._kept
    other = new_shop("Other")
    keys._directory._kept = kept  # as in a process that was not told
    assert widget_key_of(other.row.key) is None
    now[0] += keys.AGAIN_SECONDS
    assert widget_key_of(other.row.key) is not None


def test_the_names_of_sources_do_not_collide():
    Source.objects.create(name="Widget: Shop")
    Source.objects.create(name="Widget: Shop 2")
    assert new_shop().row.source.name == "Widget: Shop 3"


def test_a_page_about_an_error_shows_no_secret():
    shop = new_shop()
    assert shop.secret not in repr(shop.ref)
