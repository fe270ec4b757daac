"""What every test has: keys and caches that start empty."""

import pytest
from django.core.cache import cache

from cdp.access.keys import forget_keys
from cdp.pipeline.lease import forget_lease
from cdp.traits.catalogue import forget_catalogue


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    cache.clear()
    forget_keys()
    forget_catalogue()
    forget_lease()
