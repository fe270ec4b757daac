"""What every test has: keys and caches that start empty."""

from collections.abc import Iterator

import pytest
import pytest_django
from django.core.cache import cache

from cdp.access.keys import forget_keys
from cdp.pipeline.lease import forget_lease
from cdp.traits.catalogue import forget_catalogue
from tests.live import WebServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that commits empties the tables at its end: each of them gets the rows of the migrations back first."""
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        marker = item.get_closest_marker("django_db")
        if "transactional_db" in names or (marker is not None and marker.kwargs.get("transaction")):
            # The marker is what makes pytest-django keep the rows of the migrations when it makes the database.
            given = dict(marker.kwargs) if marker is not None else {"transaction": True}
            kept = pytest.mark.django_db(**{**given, "serialized_rollback": True})
            item.add_marker(kept, append=False)


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    cache.clear()
    forget_keys()
    forget_catalogue()
    forget_lease()


@pytest.fixture(scope="session")
def _web(django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[WebServer]:
    with django_db_blocker.unblock(), WebServer() as server:
        yield server


@pytest.fixture
def web(_web: WebServer, transactional_db: None) -> WebServer:
    """The web process that the tests share. It keeps write keys for 30 s: give each test's source a key of its own."""
    return _web
