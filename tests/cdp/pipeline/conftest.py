"""The door in the process of the test, on the real store."""

from collections.abc import Iterator

import pytest

from cdp.pipeline.door import Door
from tests.asgi import Caller


@pytest.fixture
def door(transactional_db: None) -> Iterator[Caller]:
    """A door of one's own: `door(method, path, body, headers=…)`."""
    app = Door()
    caller = Caller(app)
    yield caller
    caller.runner.run(app.close())
    caller.runner.close()
