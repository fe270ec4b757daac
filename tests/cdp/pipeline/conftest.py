"""The door in the process of the test, on the real store."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest

from cdp.pipeline.door import Door
from tests.asgi import Caller


class LateDoor:
    """A door that is made by its first request, with the settings that the test has made by then."""

    @cached_property
    def made(self) -> Door:
        """The door itself."""
        return Door()

    async def __call__(self, *arguments: Any) -> None:
        """Answer one HTTP request."""
        await self.made(*arguments)


@pytest.fixture
def door(transactional_db: None) -> Iterator[Caller]:
    """A door of one's own: `door(method, path, body, headers=…)`."""
    app = LateDoor()
    caller = Caller(app)
    yield caller
    caller.runner.run(app.made.close())
    caller.runner.close()
