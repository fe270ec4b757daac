"""A controller, and a data folder of its own."""

import ipaddress

import pytest

from tests.cdp.privacy.opendsr.controller import Controller


@pytest.fixture
def controller(db, settings, tmp_path):
    """One that callbacks may reach."""
    settings.DATA_DIR = tmp_path
    settings.OUTBOUND_ALLOW = (ipaddress.ip_network("127.0.0.0/8"),)
    with Controller() as made:
        yield made
