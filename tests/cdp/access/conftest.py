"""A data folder of its own for each test that seals: a signed head outlives the rows of a test."""

import pytest


@pytest.fixture
def data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    return tmp_path
