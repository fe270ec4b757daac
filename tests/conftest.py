"""What every test has: keys and caches that start empty."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import pytest_django
from django.core.cache import cache

from cdp.access.keys import forget_keys
from cdp.access.rights import forget_exceptions
from cdp.history.tail import forget_tail
from cdp.pipeline.lease import forget_lease
from cdp.pipeline.spool import open_spool, spool_path
from cdp.traits.catalogue import forget_catalogue
from integrations.afterwards import forget_waiting
from integrations.circuit import forget_failures
from integrations.connection import forget_connection
from integrations.kept import forget_kept
from integrations.request_log import forget_rows
from tests.data import cdnow_file
from tests.live import WebServer
from tests.spark import spark_backend
from widget_api.keys import forget_widget_keys


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
def _fresh_caches(settings: Any) -> None:
    settings.LAKE_URL = str(settings.DATA_DIR / "lakes" / uuid.uuid4().hex)
    settings.ERASURE_JOURNAL = settings.DATA_DIR / "journals" / uuid.uuid4().hex
    forget_tail()
    cache.clear()
    forget_keys()
    forget_exceptions()
    forget_catalogue()
    forget_lease()
    forget_widget_keys()
    forget_connection()
    forget_kept()
    forget_failures()
    forget_rows()
    forget_waiting()
    _empty_spool()


def _empty_spool() -> None:
    """What a web process that tests share has left in the door's own file."""
    path = spool_path()
    if path is not None and path.exists():
        with closing(open_spool(path)) as spool:
            spool.execute("pragma busy_timeout=5000")
            spool.execute("delete from pipeline_inboxmessage")
            spool.execute("delete from refusal")


@pytest.fixture(scope="session")
def cdnow() -> str:
    """The file of the CDNOW purchases."""
    return cdnow_file()


@pytest.fixture(scope="session")
def _web(django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[WebServer]:
    with django_db_blocker.unblock(), WebServer() as server:
        yield server


@pytest.fixture
def web(_web: WebServer, transactional_db: None) -> WebServer:
    """The web process that the tests share. It keeps write keys for 30 s: give each test's source a key of its own."""
    return _web


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """The Ibis backend of a real Spark session, started once for all tests that ask for it."""
    with spark_backend() as backend:
        yield backend
