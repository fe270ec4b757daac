"""An Exacaster for the tests, and an integration that is connected to it."""

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.models import Integration
from tests.integrations.upstream import Upstream, connect


@pytest.fixture
def upstream(settings: Any) -> Iterator[Upstream]:
    """The server, which our requests may reach."""
    settings.OUTBOUND_ALLOW = (ipaddress.ip_network("127.0.0.0/8"),)
    with Upstream() as server:
        yield server


@pytest.fixture
def integration(upstream: Upstream, db: None) -> Integration:
    """Connected to `upstream`."""
    return connect(upstream)
