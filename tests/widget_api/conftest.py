"""What the tests of the widget share."""

from collections.abc import Iterator

import pytest
from django.conf import settings

from tests.browsing import ShopSite
from tests.shops import ORIGIN, Shop, new_shop


@pytest.fixture
def shop(db: None) -> Shop:
    """A shop whose pages are not ours."""
    assert settings.PUBLIC_URL != ORIGIN
    return new_shop()


@pytest.fixture
def site() -> Iterator[ShopSite]:
    """The web server of a shop."""
    with ShopSite() as site:
        yield site
