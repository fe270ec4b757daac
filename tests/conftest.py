"""What every test has: keys and caches that start empty."""

import pytest

from cdp.pipeline.lease import forget_lease
from cdp.traits.catalogue import forget_catalogue


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    forget_catalogue()
    forget_lease()
